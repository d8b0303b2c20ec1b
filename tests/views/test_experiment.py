"""Results of the lab as plain data; a file of a stranger's cannot do more than be refused."""

from __future__ import annotations

import json

import pytest

from gainstage.errors import RunFileError
from gainstage.views import experiment
from gainstage.views.experiment import read_experiment

ROWS = [
    {"quantity": "loss", "published": 2.0, "measured": 2.1, "low": 1.5, "high": 2.5,
     "kind": "D", "asked": True, "inside": True},
    {"quantity": "steps", "published": None, "measured": 9.0, "low": 10.0, "high": float("inf"),
     "kind": "R", "asked": True, "inside": False},
    {"quantity": "later", "published": 1.0, "measured": float("nan"), "low": 0.0, "high": 2.0,
     "kind": "C", "asked": False, "inside": False},
]  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    def keep(rows=ROWS, **more):
        path = tmp_path / "demo" / "results.json"
        path.parent.mkdir(exist_ok=True)
        data = {"experiment": "demo", "options": {"lr": 0.1, "films": True}, "quick": False}
        path.write_text(json.dumps({**data, "seconds": 3.25, "rows": rows, **more}))
        return path

    return keep


def test_figures_are_told_with_their_verdicts(kept):
    table = read_experiment(kept())
    assert (table.name, table.seconds, table.quick) == ("demo", 3.25, False)
    assert table.options == (("lr", "0.1"), ("films", "True"))
    assert [figure.verdict for figure in table.figures] == ["agrees", "differs", "not judged"]
    assert (table.agreeing, table.judged) == (1, 2)
    assert table.figures[1].high is None  # no bound
    assert table.figures[2].measured is None  # no finite number


def test_what_the_lab_writes_is_read(tmp_path):
    from gainstage.lab import run

    output = run("surfaces", {"steps": "3", "films": "false"}, folder=tmp_path)
    table = read_experiment(output.folder / "results.json")
    assert table.name == "surfaces"
    assert [figure.quantity for figure in table.figures] == [row.quantity for row in output.rows]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ("[]", "Expected `object`"),
        ('{"experiment": "a"}', "missing required field `rows`"),
        ('{"experiment": "a", "rows": [{"quantity": 3}]}', "$.rows[0].quantity"),
        ('{"experiment": "a", "rows": [7]}', "$.rows[0]"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(kept, text, told):
    path = kept()
    path.write_text(text)
    with pytest.raises(RunFileError, match=r"^The results 'demo/results.json' cannot be") as error:
        read_experiment(path)
    assert told in str(error.value)


def test_too_large_a_file_is_not_read(kept, monkeypatch):
    monkeypatch.setattr(experiment, "LARGEST", 100)
    with pytest.raises(RunFileError, match="bytes"):
        read_experiment(kept())


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(RunFileError, match="cannot be read"):
        read_experiment(tmp_path / "nothing" / "results.json")
