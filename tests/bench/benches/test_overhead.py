"""The benchmark of watching, on a few steps: who competes, what is judged, what is left behind."""

from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import pytest
import torch

from gainstage.bench import Settings, peers, race
from gainstage.bench.benches import overhead
from gainstage.bench.workloads import WORKLOADS
from gainstage.errors import MissingExtraError


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Few steps of the fastest workload; temporary files where they can be counted."""
    monkeypatch.setattr(race, "WARM_UP", 1)
    monkeypatch.setattr(overhead, "WORKLOADS", {"MLP": replace(WORKLOADS["MLP"], rounds=2)})
    here = partial(TemporaryDirectory, dir=tmp_path)
    monkeypatch.setattr(overhead, "TemporaryDirectory", here)
    return tmp_path


def test_every_watch_is_measured_beside_none_and_judged(small):
    threads = torch.get_num_threads()
    lines = overhead.overhead(Settings()).lines
    assert torch.get_num_threads() == threads
    assert lines[0].name == "unwatched"
    assert lines[0].ratio is None
    assert "default" in [line.name for line in lines]
    assert all(line.ratio > 0 and line.reach for line in lines[1:])
    assert all(line.workload == "MLP" and line.value > 0 and line.wall > 0 for line in lines)
    assert list(small.iterdir()) == []


def test_every_workload_has_its_promises():
    assert overhead.PROMISED.keys() == WORKLOADS.keys()
    assert all(bounds.keys() == overhead.WATCHES.keys() for bounds in overhead.PROMISED.values())


def test_a_peer_that_is_missing_is_one_sentence_before_anything_is_measured(monkeypatch):
    def missing(name):
        msg = f"No module named {name!r}"
        raise ModuleNotFoundError(msg)

    monkeypatch.setattr(peers.importlib, "import_module", missing)
    monkeypatch.setattr(overhead, "race", None)
    with pytest.raises(MissingExtraError, match=r"run `pip install 'gainstage\[bench\]'`\."):
        overhead.overhead(Settings(peers=True))


@pytest.mark.skipif(
    not all(map(find_spec, ("wandb", "tensorboard", "cockpit"))), reason="extra `bench`"
)
@pytest.mark.filterwarnings("default")  # theirs
def test_peers_are_shown_and_not_judged(small):
    lines = {line.name: line for line in overhead.overhead(Settings(peers=True)).lines}
    assert list(lines)[-2:] == ["wandb", "TensorBoard"]
    assert all(lines[name].ratio > 0 and lines[name].reach is None for name in list(lines)[-2:])
    assert list(small.iterdir()) == []
