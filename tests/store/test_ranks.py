"""Names on which ranks agree without talking."""

import os
import subprocess
import sys

import pytest

from gainstage.store.ranks import Rank, new_rank_path, rank_files, rank_in, run_name, shared_name

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "one", "WORLD_SIZE": "2"},
        {"RANK": "1"},
    ],
)
def test_what_is_no_rank_among_several(environment):
    assert rank_in(environment) is None


def test_all_ranks_find_one_name_and_another_training_another():
    names = {shared_name(Rank(n, 4), {**TORCHRUN, "RANK": str(n)}) for n in range(4)}
    assert len(names) == 1
    other = shared_name(Rank(0, 4), {**TORCHRUN, "MASTER_PORT": "29501"})
    assert other not in names


def test_a_restart_of_a_rank_is_a_run_of_its_own():
    first, second = (
        shared_name(Rank(0, 2), {**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": n}) for n in "01"
    )
    assert first != second


def test_on_several_machines_the_launchers_process_is_left_out(monkeypatch):
    here = {**TORCHRUN, "LOCAL_WORLD_SIZE": "2"}
    name = shared_name(Rank(0, 4), here)
    assert name.startswith("job-")
    monkeypatch.setattr("gainstage.store.ranks._launcher", lambda: 1)
    assert shared_name(Rank(0, 4), here) == name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_shell_between_launcher_and_rank_does_not_matter():
    code = (
        "from gainstage.store.ranks import *; import os;"
        "print(shared_name(rank_in(os.environ), os.environ))"
    )
    direct = [sys.executable, "-c", code]
    shelled = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, code]
    names = {
        subprocess.run(
            command,
            env={**os.environ, **TORCHRUN, "RANK": rank, "WORLD_SIZE": "2"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for rank, command in (("0", direct), ("1", shelled))
    }
    assert len(names) == 1


def test_a_second_training_of_one_launcher_gets_a_number(tmp_path):
    rank = Rank(1, 2)
    first = new_rank_path(tmp_path, rank, "job-a")
    assert first == tmp_path / "job-a" / "rank1.gs"
    first.parent.mkdir()
    first.touch()
    assert new_rank_path(tmp_path, rank, "job-a").parent.name == "job-a-2"
    assert new_rank_path(tmp_path, Rank(0, 2), "job-a").parent.name == "job-a"


def test_files_of_ranks_are_told_from_others(tmp_path):
    for name in ("rank10.gs", "rank2.gs", "rank01.gs", "rank.gs", "rank3.gs-wal", "a.gs"):
        (tmp_path / name).touch()
    assert list(rank_files(tmp_path)) == [2, 10]
    assert rank_files(tmp_path / "a.gs") == {}
    assert rank_files(tmp_path / "nowhere") == {}


def test_a_run_is_called_as_its_folder(tmp_path):
    assert run_name(tmp_path / "job-a" / "rank1.gs") == "job-a"
    assert run_name(tmp_path / "2026-01-01-abcd.gs") == "2026-01-01-abcd"
