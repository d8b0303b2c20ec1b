"""``gainstage lab``: the list, a run, exit codes, and bad input in one sentence."""

import pytest
from click.testing import CliRunner

from gainstage.cli import gainstage


def call(*arguments):
    return CliRunner().invoke(gainstage, ["lab", *map(str, arguments)])


def test_the_list_names_each_experiment_and_its_parameters():
    output = call("list").output
    assert "own-optimizers" in output
    assert "steps=100" in output


def test_a_run_prints_published_beside_measured_and_where_its_files_are(tmp_path):
    result = call("run", "line-fit", "--set", "size=11", "--dir", tmp_path)
    assert result.exit_code == 0, result.output
    assert "53.07827" in result.output
    assert "kind: D deterministic" in result.output
    assert str(tmp_path / "line-fit" / "losses.png") in result.output


def test_a_figure_that_disagrees_gives_exit_code_1(tmp_path):
    result = call("run", "9", "--set", "steps=0", "--dir", tmp_path)
    assert result.exit_code == 1  # without a step even the wrong rule is equal
    assert "NO" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "line-fitt"], "no experiment named 'line-fitt'. Did you mean 'line-fit'?"),
        (["run", "line-fit", "--set", "lr"], "set by KEY=VALUE, and not by 'lr'"),
        (["run", "line-fit", "--set", "rate=1"], "no parameter 'rate'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1
