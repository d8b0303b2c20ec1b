"""The watch says what it does not see, and keeps quiet where it sees all."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs


class Net(nn.Module):
    def __init__(self, *, past=()):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.scale = nn.Parameter(torch.ones(8))
        self.added: nn.Module | None = None
        self._past = past

    def forward(self, x):
        for name in ("first", "second", "third"):
            layer = getattr(self, name)
            past = name in self._past
            x = F.linear(x, layer.weight, layer.bias) if past else layer(x)
            if name == "first":
                x = x * self.scale
                x = x if self.added is None else self.added(x)
        return x


def _train(net, steps=5, *, during=None, **options):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with gs.watch(net, optimizer, **options) as run:
        for step in range(steps):
            if during is not None:
                during(step)
            net.zero_grad()
            net(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    return gs.open(run.path)


def _told(run):
    return [event.data["told"] for event in run.recording.events if event.code == "blind"]


UNCALLED = "something uses its weights without calling the module itself"
REMOVED = "something has removed the watch's hook"


def test_a_healthy_watch_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not _told(_train(Net(), dir=tmp_path))


def test_a_stage_whose_weights_are_used_beside_it_is_named(tmp_path):
    run = _train(Net(past=("second",)), dir=tmp_path)
    assert _told(run) == [f"sees nothing of second: {UNCALLED}"]
    assert "second: " + UNCALLED in str(run.diagnose())
    event = next(event for event in run.recording.events if event.code == "blind")
    assert event.data["remedy"] == "Call the module, or watch with functional=True."


def test_what_functional_calls_show_is_not_missing(tmp_path):
    assert not _told(_train(Net(past=("second",)), dir=tmp_path, functional=True))


def test_what_was_not_wanted_is_not_missing(tmp_path):
    run = _train(Net(past=("second",)), dir=tmp_path, sites=["first", "third"])
    assert not _told(run)


def test_hooks_that_somebody_removes_are_missed(tmp_path):
    net = Net()

    def clear(step):
        if step == 3:
            net.first._forward_hooks.clear()
            net.third._forward_hooks.clear()

    with pytest.warns(RuntimeWarning, match="keep it from hooks that are not its own"):
        run = _train(net, 8, during=clear, dir=tmp_path)
    assert _told(run) == [f"sees nothing of first, third: {REMOVED}"]
    assert [event.step for event in run.recording.events if event.code == "blind"] == [3]


def test_a_stage_that_is_added_later_is_named(tmp_path):
    net = Net()

    def grow(step):
        if step == 4:
            net.added = nn.Linear(8, 8)

    with pytest.warns(RuntimeWarning, match="Begin the watch once the model is complete"):
        run = _train(net, 8, during=grow, dir=tmp_path)
    assert _told(run) == ["sees nothing of added: it was put into the model after the watch began"]


def test_a_stage_that_rests_at_times_is_not_missing(tmp_path):
    """Stochastic depth: a stage that some steps leave out has been seen before."""

    class Deep(Net):
        def forward(self, x):
            x = self.first(x)
            return self.third(x if torch.rand(()) < 0.5 else self.second(x))

    torch.manual_seed(0)
    assert not _told(_train(Deep(), 20, dir=tmp_path))
