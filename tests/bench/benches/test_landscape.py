"""The benchmark of the maps, on small ones: it runs, and its contestants agree."""

import sys

import pytest
import torch

from gainstage.bench import Settings
from gainstage.bench.benches import landscape
from gainstage.errors import MissingExtraError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(landscape, "SIZE", 5)
    monkeypatch.setattr(landscape, "PLANES", (landscape.Plane("MLP", 4, 3, 1, 2.0),))


def test_the_loop_and_the_map_agree_and_are_judged():
    threads = torch.get_num_threads()
    lines = {line.name: line for line in landscape.landscape(Settings()).lines}
    assert torch.get_num_threads() == threads
    assert lines["point by point"].wall > 0
    assert lines["point by point over ours"].reach == (">=", 300.0)
    assert lines["largest difference"].reached


def test_the_peer_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "loss_landscapes", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[bench\]'"):
        landscape.landscape(Settings(peers=True))


def test_the_peer_maps_the_same_plane():
    pytest.importorskip("loss_landscapes")
    lines = landscape.landscape(Settings(peers=True)).lines
    (difference,) = [line for line in lines if line.name == "largest difference"][1:]
    assert difference.reached


def test_a_ratio_says_how_much_longer_the_other_takes(monkeypatch):
    seconds = {"gainstage": 2.0, "loss-landscapes": 6.0, "point by point": 80.0}

    def timed(contestants, **_):
        return {name: [call(), seconds[name]][1] for name, call in contestants.items()}

    monkeypatch.setattr(landscape, "interleaved", timed)
    ratios = {line.name: line.ratio for line in landscape.landscape(Settings()).lines}
    assert ratios["point by point over ours"] == pytest.approx(80 / (2 / 20))
    pytest.importorskip("loss_landscapes")
    ratios = {line.name: line.ratio for line in landscape.landscape(Settings(peers=True)).lines}
    assert ratios["theirs over ours"] == pytest.approx(3.0)
