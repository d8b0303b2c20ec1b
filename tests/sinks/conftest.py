"""A short training whose readings are caught, and what a tracker should have of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gainstage as gs


class Caught(list):
    """A sink that keeps what it gets."""

    def __call__(self, reading):
        self.append(reading)

    def series(self, name):
        """What a name was at each step that had it."""
        return {r.step: r.scalars[name] for r in self if name in r.scalars}

    def shapes(self, name):
        return {r.step: r.histograms[name] for r in self if name in r.histograms}

    @property
    def names(self):
        return {name for r in self for name in r.scalars}


def train(folder, sinks=None, *, steps=20, faint=False, **options):
    """Train a small network under a watch."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    if faint:
        for layer in (net[0], net[2]):
            nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, y = torch.randn(32, 6), torch.randint(3, (32,))
    with gs.watch(net, optimizer, dir=folder, sinks=sinks, **options) as run:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
    return run


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """A stored run, and the readings of its watch."""
    caught = Caught()
    run = train(tmp_path_factory.mktemp("runs"), [gs.sinks.choose(caught, "*")])
    return gs.open(run.path), caught


@pytest.fixture
def catch():
    return Caught


@pytest.fixture(scope="session")
def trained():
    return train
