"""Several processes: the merged run is that of one process, and the training never notices."""

import os
import pickle
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

import gainstage as gs
from gainstage.errors import UsageError
from gainstage.probe import ranks
from gainstage.probe.naming import class_of, paths
from gainstage.quantities import SUMMARY_KEYS
from gainstage.sketch import Histogram
from gainstage.store import MergedRecording, Rank, list_runs, merge_run, open_recording

SCRIPTS = Path(__file__).parent.parent / "scripts"
TORCHRUN = Path(sys.executable).with_name("torchrun")
ROUNDING = 1e-13


def start_all(way, world, folder, how="watched"):
    """Run all ranks of tests/scripts/ranks.py to their end; their exit codes and outputs."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    script = str(SCRIPTS / "ranks.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, way, str(rank), str(world), str(port), str(folder), how],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    return [process.returncode for process in processes], outputs


@dataclass
class Training:
    way: str
    world: int
    folder: Path
    merged: MergedRecording
    notes: list
    found: list


@pytest.fixture(
    scope="module",
    params=[
        ("ddp", 2),
        ("fsdp", 2),
        pytest.param(("ddp", 4), marks=pytest.mark.slow),
        ("fsdp", 4),  # of three outputs one rank holds none
        pytest.param(("hsdp", 4), marks=pytest.mark.slow),
    ],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def training(request, tmp_path_factory):
    way, world = request.param
    folder = tmp_path_factory.mktemp(way)
    codes, outputs = start_all(way, world, folder)
    assert codes == [0] * world, "\n".join(outputs)
    left = [pickle.loads((folder / f"rank{r}.pickle").read_bytes()) for r in range(world)]  # noqa: S301
    (run,) = list_runs(folder / "runs")
    merged = open_recording(run.path)
    assert isinstance(merged, MergedRecording)
    return Training(way, world, folder, merged, left[0][0], [found for _, found in left])


def expected(tensor):
    """The statistics of a whole tensor, in float64."""
    x = tensor.numpy().astype(np.float64)
    return {
        "count": x.size,
        "mean": x.mean(),
        "rms": np.sqrt(np.square(x).mean()),
        "std": x.std(),
        "l2": np.sqrt(np.square(x).sum()),
        "min": x.min(),
        "max": x.max(),
        "zero_share": (x == 0).mean(),
        "nan": 0,
        "inf": 0,
        "rms_error": 0,
    }


def test_merged_statistics_are_those_of_the_gathered_tensors(training):
    compared = 0
    for step, (note, _) in enumerate(training.notes):
        for (name, kind), tensor in note.items():
            site = training.merged.site(name, kind)
            assert site is not None, (name, kind)
            wanted = expected(tensor)
            assert set(wanted) == set(SUMMARY_KEYS)
            for quantity, value in wanted.items():
                got = training.merged.exact(site, quantity)[step]
                scale = wanted["rms"]  # a mean near zero is a difference of larger numbers
                close = pytest.approx(value, rel=ROUNDING, abs=ROUNDING * scale)
                assert got == close, (name, kind, quantity, step)
                compared += 1
    assert compared == 3 * len(SUMMARY_KEYS) * (2 * 3 + 3 * 4)


def test_merged_histograms_are_those_of_the_gathered_tensors(training):
    for step, (note, _) in enumerate(training.notes):
        for (name, kind), tensor in note.items():
            site = training.merged.site(name, kind)
            got = training.merged.histogram(site, step, step + 1)
            assert np.array_equal(got.counts, Histogram.of(tensor.numpy()).counts), (name, kind)


def test_the_run_as_a_whole_is_merged_too(training):
    merged = training.merged
    run = merged.of_kind("run")[0]
    losses = [np.mean(losses) for _, losses in training.notes]
    assert merged.exact(run, "loss") == pytest.approx(losses, rel=1e-6)
    for quantity, number in (
        ("grad_norm", lambda g, _: torch.sqrt(sum(x.double().square().sum() for x in g))),
        (
            "predicted_change",
            lambda g, u: sum((a.double() * b).sum() for a, b in zip(g, u, strict=True)),
        ),
    ):
        wanted = []
        for note, _ in training.notes:
            names = sorted(name for name, kind in note if kind == "grad")
            grads, updates = ([note[n, kind] for n in names] for kind in ("grad", "update"))
            wanted.append(float(number(grads, updates)))
        assert merged.exact(run, quantity) == pytest.approx(wanted, rel=1e-9), quantity
    judged = gs.Run(merged.path).diagnose()
    assert [finding for finding in judged if finding.code == "non-finite"] == []
    assert merged.info.world == training.world
    assert merged.info.status == "finished"
    assert merged.events == ()


def test_names_and_operations_are_the_users_own(training):
    stages = {(site.name, site.op) for site in training.merged.of_kind("output")}
    assert stages == {("layers.0", "Linear"), ("layers.1", "relu"), ("layers.2", "Linear")}
    weights = {(site.name, site.op, site.shape) for site in training.merged.of_kind("weight")}
    assert ("layers.0.weight", "Linear", (10, 6)) in weights
    assert len(weights) == 4


def test_training_is_bit_identical_and_nothing_is_communicated(training):
    for found in training.found:
        assert found["watched"] == found["plain"]
        assert found["plain"][0][1] > 0
        assert min(found["control"]) > 0  # both counters see a collective


def test_what_a_rank_writes_does_not_depend_on_how_many_there_are(training):
    files = sorted((training.merged.path).iterdir())
    assert [file.name for file in files] == [f"rank{r}.gs" for r in range(training.world)]
    series = {len(open_recording(file).sites) for file in files}
    assert series == {len(training.merged.sites)}


def test_a_merged_run_is_one_ordinary_file(training):
    single = gs.Run(merge_run(training.merged.path, training.folder / "merged.gs"))
    sizes = [file.stat().st_size for file in training.merged.path.iterdir()]
    assert single.path.stat().st_size < 1.3 * min(sizes)  # of more elements: fuller histograms
    for site in training.merged.sites:
        for quantity in training.merged.quantities(site):
            theirs = single.recording.values(site, quantity)
            ours = training.merged.values(site, quantity)
            assert np.array_equal(theirs, ours, equal_nan=True), (site, quantity)
        theirs, ours = single.recording.histogram(site), training.merged.histogram(site)
        assert np.array_equal(theirs.counts, ours.counts), site


def test_a_killed_rank_does_not_take_the_run_away(tmp_path):
    codes, outputs = start_all("ddp", 2, tmp_path, "killed")
    assert codes[1] == -9, outputs
    assert codes[0] not in {0, -9}, outputs  # the peer is gone, says torch
    (run,) = list_runs(tmp_path / "runs")
    merged = open_recording(run.path)
    assert merged.info.status == "failed"
    assert "rank 0" in merged.info.outcome
    missing = [event for event in merged.events if event.code == "rank-missing"]
    ((who, since),) = [(event.data["rank"], event.step) for event in missing]
    assert who == 1
    assert "rank-missing" in [finding.code for finding in gs.diagnose(merged)]
    assert since < 2  # what was not written when the rank was killed is lost
    counts = merged.values(merged.site("layers.0", "output"), "count").tolist()
    assert counts[:2] == [(4 + 5 if step < since else 4) * 10 for step in range(2)]


def torchrun(folder, *command):
    env = {key: value for key, value in os.environ.items() if key not in {"RANK", "WORLD_SIZE"}}
    return subprocess.run(
        [str(TORCHRUN), "--standalone", "--nproc-per-node", "2", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**env, "OMP_NUM_THREADS": "1"},
    )


def test_torchrun_with_gainstage_run_end_to_end(tmp_path):
    (tmp_path / "train.py").write_text("""\
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
model = DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(torch.randn(16, 4)), torch.ones(16, 1)).backward()
    optimizer.step()
dist.destroy_process_group()
""")
    done = torchrun(tmp_path, "-m", "gainstage", "run", "train.py")
    assert done.returncode == 0, done.stderr
    assert len(re.findall("5 steps kept in", done.stderr)) == 1  # one word for all ranks
    (run,) = list_runs(tmp_path / "runs")
    assert (run.steps, run.info.world, run.info.status) == (5, 2, "finished")
    merged = gs.open("latest", dir=str(tmp_path / "runs")).recording
    assert merged.site("0", "output").op == "Linear"
    assert set(merged.values(merged.site("0", "output"), "count").tolist()) == {2 * 16 * 8}
    assert merged.site("0.weight", "weight").merge == "same"
    assert not [event for event in merged.events if event.code == "ranks-disagree"]


PARALLEL = """\
import os
import signal
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(100):
    x = torch.randn(16, 4)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1] - x[:, 1:2]).backward()
    optimizer.step()
    {peculiar}
dist.destroy_process_group()
"""


def test_torchrun_with_a_rank_that_is_killed(tmp_path):
    """It opens, says so, and holds what both ranks had said was safe."""
    script = PARALLEL.format(
        peculiar="""if step == 60 and rank == 1:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)"""
    )
    (tmp_path / "train.py").write_text(script)
    done = torchrun(tmp_path, "-m", "gainstage", "run", "train.py")
    assert done.returncode != 0
    (listed,) = list_runs(tmp_path / "runs")
    run = gs.open(listed.path)
    assert run.recording.info.status in {"failed", "interrupted"}
    (missing,) = [event for event in run.recording.events if event.code == "rank-missing"]
    assert missing.data["rank"] == 1
    # frames wait for each other a quarter of a second at most, and the rank slept for twice that
    assert missing.step >= 59
    assert "rank-missing" in [finding.code for finding in run.diagnose()]
    counts = run.recording.values(run.recording.site("0", "output"), "count")[:59]
    assert set(counts.tolist()) == {2 * 16 * 8}


def test_a_rank_that_the_others_wait_for_is_found(tmp_path):
    script = PARALLEL.format(peculiar="time.sleep(0.03 if rank == 1 else 0.0)")
    (tmp_path / "train.py").write_text(script)
    done = torchrun(tmp_path, "-m", "gainstage", "run", "train.py")
    assert done.returncode == 0, done.stderr
    (listed,) = list_runs(tmp_path / "runs")
    (found,) = [one for one in gs.open(listed.path).diagnose() if one.code == "straggler"]
    assert "Rank 1 needs" in found.message
    assert found.severity == "warning"


def test_a_process_alone_has_no_rank(monkeypatch, tmp_path):
    monkeypatch.delenv("RANK", raising=False)
    assert ranks.this_rank() is None
    assert ranks.run_path(tmp_path, None).suffix == ".gs"


def test_the_rank_comes_from_the_launcher_before_the_process_group_is_there(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert ranks.this_rank() == Rank(3, 8)


def test_rank_zero_names_the_run_and_waits_for_nobody(monkeypatch, tmp_path):
    store = torch.distributed.HashStore()
    monkeypatch.setattr(ranks.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(ranks, "default_store", lambda: store)
    monkeypatch.setattr(ranks, "_named", 0)
    first = ranks.run_path(tmp_path, Rank(0, 2))
    monkeypatch.setattr(ranks, "_named", 0)
    assert ranks.run_path(tmp_path, Rank(1, 2)).parent == first.parent


def test_a_rank_that_hears_nothing_of_rank_zero_goes_by_its_own_name(monkeypatch, tmp_path):
    monkeypatch.setattr(ranks.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(ranks, "default_store", torch.distributed.HashStore)
    monkeypatch.setattr(ranks, "_PATIENCE", ranks.timedelta(milliseconds=50))
    start = time.monotonic()
    path = ranks.run_path(tmp_path, Rank(1, 2))
    assert time.monotonic() - start < 5
    assert path.name == "rank1.gs"


def test_the_module_of_a_parallel_wrapper_has_no_part_in_names():
    inner = nn.Sequential(nn.Linear(1, 1))
    inner.module = nn.Linear(1, 1)  # the user's own name
    model = nn.Sequential(nn.DataParallel(inner))
    assert [path for path, _ in paths(model)] == ["", "0", "0", "0.0", "0.module"]


def test_a_sharded_class_has_the_users_name():
    sharded = type("FSDPLinear", (FSDPModule, nn.Linear), {})
    assert class_of(object.__new__(sharded)) is nn.Linear
    assert class_of(nn.Linear(1, 1)) is nn.Linear


def test_a_plain_parameter_is_a_copy_and_all_local():
    parameter = nn.Parameter(torch.ones(2))
    assert ranks.merge_of(parameter) == "same"
    assert ranks.merge_of(parameter, "sum") == "sum"
    assert ranks.local(parameter) is parameter
    assert not ranks.is_distributed(parameter)


def test_ranks_keep_no_budget_each_for_itself(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    model = nn.Linear(1, 1)
    with pytest.raises(UsageError, match="several ranks"):
        gs.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), budget=0.02)
