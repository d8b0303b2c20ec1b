"""``gainstage export``."""

from __future__ import annotations

import pytest


def test_a_run_is_handed_on(cli, store, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    run = store(tmp_path / "a.gs")
    options = ("--to", "tensorboard", "-o", tmp_path / "logs")
    done = cli("export", run, *options, "--only", "run/*", "--every", "2")
    assert done.exit_code == 0
    assert done.stdout == "3 steps of a handed on to tensorboard\n"
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "logs" / "a"))
    found.Reload()
    assert found.Tags()["scalars"] == ["run/loss"]
    assert [event.step for event in found.Scalars("run/loss")] == [0, 2, 4]


def test_an_unknown_tracker_is_one_sentence(cli, store, tmp_path):
    done = cli("export", store(tmp_path / "a.gs"), "--to", "tensorbord")
    assert done.exit_code == 2
    assert "There is no tracker named 'tensorbord'. Did you mean 'tensorboard'?" in done.stderr
