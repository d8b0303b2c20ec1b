"""``gainstage import``."""

from __future__ import annotations

import warnings

import pytest

import gainstage as gs


@pytest.fixture
def logs(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter
    for name in ("a", "b"):
        with SummaryWriter(tmp_path / "logs" / name) as writer:
            for step in range(3):
                writer.add_scalar("loss", 2.0 - step, step)
                for i in range(10):
                    writer.add_scalar(f"metric{i}", 1.0, step)
    return tmp_path / "logs"


def test_every_run_becomes_a_file_and_is_told_of(cli, logs, tmp_path):
    done = cli("import", logs, "--dir", tmp_path / "runs")
    assert done.exit_code == 0
    assert done.stdout.count("3 steps of ") == 2
    assert "  views: loss\n  loss: loss\n  left out: metric0, metric1, " in done.stdout
    assert ", and 2 more" in done.stdout
    shown = cli("show", "latest", "--dir", tmp_path / "runs")
    assert "loss 2 to 0" in shown.stdout
    assert gs.open("latest", dir=tmp_path / "runs").info.facts["imported"].startswith(str(logs))


def test_what_is_wrong_is_one_sentence(cli, tmp_path):
    done = cli("import", tmp_path, "--dir", tmp_path / "runs")
    assert done.exit_code == 2
    assert "There are no event files" in done.stderr
    assert not (tmp_path / "runs").exists()
