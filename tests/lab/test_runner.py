"""Running an experiment: parameters, files, and the short run of each."""

import json
import os

import pytest

from gainstage.errors import UnknownNameError, UsageError
from gainstage.lab import EXPERIMENTS, Row, run
from gainstage.lab.runner import cells, find

NEED_DATA = {
    "initialization",
    "kaiming-conv",
    "names",
    "names-diagnosis",
    "optimizers-compared",
}


def marks(name):
    without = pytest.mark.skipif("GAINSTAGE_DATA" not in os.environ, reason="no data are here")
    return [without] if name in NEED_DATA else []


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in EXPERIMENTS])
def test_the_short_run_of_each_finds_what_it_can_find(name, tmp_path):
    output = run(name, quick=True, folder=tmp_path)
    assert output.rows
    outside = [row for row in output.rows if row.asked and not row.inside]
    assert not outside
    assert all(file.stat().st_size > 100 for file in output.files)
    kept = json.loads((tmp_path / name / "results.json").read_text())
    assert [row["quantity"] for row in kept["rows"]] == [row.quantity for row in output.rows]
    assert "| quantity | kind | published |" in (tmp_path / name / "table.md").read_text()


def test_parameters_are_taken_as_text_and_mark_the_run_as_another(tmp_path):
    output = run("own-optimizers", {"steps": "3"}, folder=tmp_path)
    assert json.loads((tmp_path / "own-optimizers" / "results.json").read_text())["options"] == {
        "steps": 3,
        "seed": 0,
    }
    assert output.quick


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("surface", {}, UnknownNameError, "no experiment named 'surface'. Did you mean 'surfaces'"),
        ("line-fit", {"epoch": "3"}, UsageError, "no parameter 'epoch'. Did you mean 'epochs'"),
        ("line-fit", {"zzz": "3"}, UsageError, "'zzz'. It has: lr, epochs, size"),
        ("line-fit", {"epochs": "many"}, UsageError, "does not fit: Expected `int`"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(name, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run(name, options, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_experiment_goes_by_its_number_too():
    assert find("7").name == "surfaces"


def test_a_row_is_written_as_exactly_as_it_is_judged():
    row = Row("loss", 0.5, 0.50001, 0.4999995, 0.5000005, "D")
    assert cells(row) == ("loss", "D", "0.5", "0.50001", "NO [0.4999995, 0.5000005]")
    short = Row("loss", None, 0.5, 0.0, 1.0, "R", asked=False)
    assert cells(short)[2:] == ("", "0.5", "short run: not judged")
