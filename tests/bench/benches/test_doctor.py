"""The benchmark of verdicts, on a checkout with three small scripts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gainstage.bench import Settings
from gainstage.bench.benches import doctor
from gainstage.errors import UsageError

ROOT = Path(__file__).parents[3]
FROZEN = """
import torch
torch.manual_seed(0)
x = torch.randn(64, 4); y = x @ torch.randn(4, 1)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
for _ in range(60):
    optimizer.zero_grad()
    (net(x) - y).square().mean().backward()
    optimizer.step()
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    corpus = tmp_path / "tests" / "corpus"
    (corpus / "dev").mkdir(parents=True)
    table = {
        "dev/s01_still.py": {"codes": ["parameters-not-updated"], "also_ok": []},
        "dev/s02_learns.py": {"codes": []},
        "dev/s03_raises.py": {"codes": ["dead-units"], "also_ok": ["non-finite"]},
        "held/s51_unseen.py": {"codes": []},
    }
    (corpus / "expected.json").write_text(json.dumps(table))
    (corpus / "dev" / "s01_still.py").write_text(FROZEN.replace("RATE", "0.0"))
    (corpus / "dev" / "s02_learns.py").write_text(FROZEN.replace("RATE", "0.2"))
    (corpus / "dev" / "s03_raises.py").write_text("raise ValueError('no data')\n")
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "thresholds.py", tmp_path / "benchmarks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_script_of_the_half_is_judged_and_scored_beside_the_baseline(checkout):
    outcome = doctor.doctor(Settings(baseline=True))
    ours = outcome.data[doctor.OURS]
    assert [case["script"] for case in ours["cases"]] == ["s01_still", "s02_learns", "s03_raises"]
    assert ours["cases"][0]["told"] == ("parameters-not-updated",)
    assert ours["cases"][1]["told"] == ()
    assert "s03_raises" not in ours["cases"][2]["told"]
    assert ours["cases"][2]["problem"]
    assert {key: ours["score"][key] for key in ("sick", "main", "alarmed", "unjudged")} == {
        "sick": 2,
        "main": 1,
        "alarmed": 0,
        "unjudged": 1,
    }
    assert outcome.data[doctor.THEIRS]["score"]["alarmed"] == 1
    assert [line.name for line in outcome.lines if not line.reached] == [
        "main finding right",
        "right among the top two",
    ]
    table, misses, _, pairs = outcome.grids
    assert table.header == ("", doctor.OURS, doctor.THEIRS, "promised", "")
    assert table.rows[0][:2] == ("main finding right", "1 of 2")
    assert [row[0] for row in misses.rows] == ["s03_raises"]
    assert ("healthy", "healthy", "1") in pairs.rows
    assert sorted(path.name for path in checkout.iterdir()) == ["benchmarks", "tests"]


def test_varied_versions_take_the_script_s_place(checkout):
    (checkout / "tests/corpus/dev/s03_raises.py").write_text("import torch\n")
    outcome = doctor.doctor(Settings(vary=2))
    names = [case["script"] for case in outcome.data[doctor.OURS]["cases"]]
    assert names[:3] == ["s01_still_v1", "s01_still_v2", "s02_learns_v1"]
    assert len(names) == 6
    assert "2 versions each" in outcome.grids[0].title


def test_without_a_corpus_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "a" / "b" / "c" / "d" / "e.py"))
    with pytest.raises(UsageError, match=r"Clone the repository and call it from there\."):
        doctor.doctor(Settings())


@pytest.mark.usefixtures("checkout")
def test_an_unknown_half_is_told_which_there_are():
    with pytest.raises(UsageError, match="half must be one of dev, held, but got 'all'"):
        doctor.doctor(Settings(half="all"))


def test_a_missing_baseline_is_named(checkout):
    (checkout / "benchmarks" / "thresholds.py").unlink()
    with pytest.raises(UsageError, match=r"should lie in .*thresholds\.py"):
        doctor.doctor(Settings(baseline=True))
