"""``gainstage sweep``."""

from __future__ import annotations

import json

import pytest

SCRIPT = """\
import sys
import torch
assert sys.argv[1:] in ([], ["--epochs", "3"])
w = torch.nn.Linear(4, 1, bias=False)
optimizer = torch.optim.SGD(w.parameters(), lr=1e-4)
for step in range(60):
    loss = (w(torch.eye(4)) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_the_best_is_told_kept_and_written(cli, script):
    options = ("--seeds", "1", "--steps", "30", "--jobs", "2", "--json", "all.json")
    done = cli("sweep", "train.py", "--over", "lr=0.5,script", *options, "--", "--epochs", "3")
    assert done.exit_code == 0, done.output
    assert "best    lr=0.5: loss " in done.stdout
    assert "store   sweeps/train.sweep" in done.stdout
    written = json.loads((script / "all.json").read_text())
    assert written["best"] == {"lr": 0.5}
    assert len(written["trials"]) == 2
    again = cli("sweep", "train.py", "--over", "lr=0.5,script", *options, "--", "--epochs", "3")
    assert "2 combinations x 1 seeds, 30 steps each; 2 of them are there already" in again.stdout
    other = cli("sweep", "train.py", "--over", "lr=0.5", *options)
    assert other.exit_code == 2
    assert "holds a sweep of something else" in other.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("nothing.py", "--over", "lr=1"), "There is no script 'nothing.py'"),
        (("train.py",), "A sweep needs at least one axis"),
        (("train.py", "--over", "lr"), "An axis is written NAME=VALUES"),
        (("train.py", "--over", "lr=1", "--backend", "dask"), "There is no backend 'dask'"),
    ],
)
@pytest.mark.usefixtures("script")
def test_what_makes_no_sense_is_one_sentence(cli, args, told):
    done = cli("sweep", *args)
    assert done.exit_code == 2
    assert told in done.stderr
