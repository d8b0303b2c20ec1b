"""``gainstage merge``, and ranks in the other commands."""

import numpy as np
import pytest

from gainstage.records import RunInfo, Series, Site
from gainstage.store import Writer


@pytest.fixture
def ranks(tmp_path):
    for rank in range(2):
        info = RunInfo("job-abcd", 1.0e9, script="train.py", rank=rank, world=2)
        with Writer(tmp_path / "job-abcd" / f"rank{rank}.gs", info) as writer:
            writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
            for step in range(5):
                writer.write_frame(step, np.array([2.0 + rank]), t=float(step))
            writer.finish(RunInfo("job-abcd", 1.0e9, status="finished", rank=rank, world=2))
    return tmp_path


def test_ranks_are_one_run_to_every_command(cli, ranks):
    assert cli("runs", "--dir", ranks).stdout.count("job-abcd") == 1
    assert "2.5" in cli("runs", "--dir", ranks).stdout
    shown = cli("show", "abcd", "--dir", ranks)
    assert shown.exit_code == 0


def test_merge_writes_one_file(cli, ranks):
    done = cli("merge", "--dir", ranks)
    assert done.exit_code == 0
    assert done.stdout.strip() == str(ranks / "job-abcd.gs")
    again = cli("merge", "--dir", ranks)
    assert again.exit_code == 2
    assert "one file already" in again.stderr
    assert cli("runs", "--dir", ranks).stdout.count("job-abcd") == 1


def test_merge_waits_for_the_end_unless_told(cli, ranks):
    info = RunInfo("job-live", 2.0e9, rank=0, world=2)
    with Writer(ranks / "job-live" / "rank0.gs", info) as writer:
        writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
        writer.write_frame(0, np.array([2.0]), t=0.0)
    refused = cli("merge", "job-live", "--dir", ranks)
    assert refused.exit_code == 2
    assert "--anyway" in refused.stderr
    done = cli("merge", "job-live", "--anyway", "-o", ranks / "here.gs", "--dir", ranks)
    assert done.stdout.strip() == str(ranks / "here.gs")
