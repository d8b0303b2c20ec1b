"""`gainstage show`."""

import pytest

from gainstage.records import Remedy
from gainstage.store import save_remedies

REMEDY = Remedy(
    "learning rate x 0.01",
    ("learning-rate-too-high",),
    "Multiply the learning rate by 0.01.",
    diff="-optimizer = SGD(lr=5.0)\n+optimizer = SGD(lr=0.05)\n",
    verified=True,
)


@pytest.mark.parametrize("name", ["latest", "2026-01-01-aaaa", "aaa", "2026-01-01"])
def test_a_run_is_found_by_its_name_or_the_beginning_of_it(cli, runs, name):
    told = cli("show", name, "--dir", runs)
    assert told.exit_code == 0
    assert told.stdout.startswith("GAINSTAGE  ")
    assert "5 steps" in told.stdout
    assert "layers.0" in told.stdout


def test_a_run_is_found_by_its_path(cli, runs):
    told = cli("show", runs / "2026-01-01-aaaa.gs")
    assert "loss 2.3 to 1.5" in told.stdout


def test_the_latest_run_is_shown_without_a_name(cli, runs):
    assert cli("show", "--dir", runs).stdout == cli("show", "latest", "--dir", runs).stdout


def test_the_levels_of_one_step_can_be_asked_for(cli, runs):
    told = cli("show", "aaaa", "--dir", runs, "--step", "3")
    assert "Levels at step 3" in told.stdout
    assert "Levels, median over steps 0 to 4" in cli("show", "aaaa", "--dir", runs).stdout


def test_a_beginning_that_several_share_is_told(cli, runs):
    told = cli("show", "2026", "--dir", runs)
    assert told.exit_code == 2
    assert "'2026' may be any of these runs" in told.stderr


def test_remedies_that_were_tried_are_shown_again(cli, store, tmp_path):
    path = store(tmp_path / "a.gs")
    assert "VERIFIED" not in cli("show", path).stdout
    save_remedies(path, [REMEDY])
    told = cli("show", path).stdout
    assert told.index("Levels, median") < told.index("VERIFIED learning rate x 0.01")
    assert "+optimizer = SGD(lr=0.05)" in told
    report = cli("report", path, "-o", tmp_path / "a.html")
    assert report.exit_code == 0
    assert "+optimizer = SGD(lr=0.05)" in (tmp_path / "a.html").read_text()
