"""What is seen inside the modules that users write from bare parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn


class Bare(nn.Module):
    """Two layers of bare matrices; ``act`` is a module within."""

    def __init__(self, act=False):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.randn(5, 2))
        self.b1 = nn.Parameter(torch.zeros(5))
        self.act = nn.ReLU() if act else torch.relu

    def forward(self, x):
        return self.act(x @ self.w1 + self.b1) @ self.w2


class Listed(nn.Module):
    """Layers in a list of parameters, and one beside it."""

    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([nn.Parameter(torch.randn(3, 3)) for _ in range(2)])
        self.out = nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        for w in self.ws:
            x = torch.tanh(nn.functional.linear(x, w))
        return x @ self.out


class Cell(nn.Module):
    """A step of a recurrence."""

    def __init__(self):
        super().__init__()
        self.wi, self.wh = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4, 4))

    def forward(self, x, h):
        return torch.tanh(x @ self.wi + h @ self.wh)


class Unrolled(nn.Module):
    def __init__(self, own):
        super().__init__()
        self.cell = Cell()
        self.wi, self.wh = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4, 4))
        self.own = own

    def forward(self, x):
        h = torch.zeros(len(x), 4)
        for _ in range(3):
            h = torch.tanh(x @ self.wi + h @ self.wh) if self.own else self.cell(x, h)
        return h


class Strange(nn.Module):
    """Multiplies by what nobody knows for a product."""

    def __init__(self):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))

    def forward(self, x):
        return (x[:, :, None] * (self.w1 + self.w2)).sum(1)


def train(watching_everything, model, steps=2):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watching_everything() as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(6, 3)).square().mean().backward()
            optimizer.step()
    return seen


def layers(seen, kind):
    return [(site.name, site.layer, site.op) for site in seen.sink.recording().of_kind(kind)]


@pytest.mark.parametrize("act", [False, True])
def test_bare_matrices_of_a_module_are_layers(watching_everything, act):
    seen = train(watching_everything, Bare(act=act))
    relu = "act" if act else "relu"
    assert seen.names("output") == ["w1", relu, "w2"]
    assert sorted(layers(seen, "weight")) == [
        ("b1", "b1", ""),
        ("w1", "w1", "matmul"),
        ("w2", "w2", "matmul"),
    ]


def test_they_have_the_path_of_their_module(watching_everything):
    seen = train(watching_everything, nn.Sequential(Bare(), nn.Linear(2, 3), Bare()))
    assert seen.names("output") == ["0.w1", "0.relu", "0.w2", "1", "2.w1", "2.relu", "2.w2"]


def test_parameters_of_a_list_are_layers(watching_everything):
    seen = train(watching_everything, Listed())
    assert seen.names("output") == ["ws.0", "tanh", "ws.1", "tanh_2", "out"]
    assert {site.layer for site in seen.sink.recording().of_kind("weight")} == {
        "ws.0",
        "ws.1",
        "out",
    }


def test_a_cell_is_one_stage_called_again_and_again(watching_everything):
    seen = train(watching_everything, Unrolled(own=False))
    assert seen.names("output") == ["cell", "cell#2", "cell#3"]
    weights = [site for site in seen.sink.recording().of_kind("weight") if "cell" in site.name]
    assert {site.layer for site in weights} == {"cell"}


def test_a_recurrence_within_a_module_has_calls_of_its_weights(watching_everything):
    seen = train(watching_everything, Unrolled(own=True))
    names = seen.names("output")
    assert [name for name in names if name.startswith("wh")] == ["wh", "wh#2", "wh#3"]


def test_a_module_in_which_nothing_is_recognised_is_a_stage(watching_everything):
    seen = train(watching_everything, Strange())
    assert seen.names("output") == ["Strange"]
    assert {site.layer for site in seen.sink.recording().of_kind("weight")} == {"Strange"}


def test_without_functional_calls_such_a_module_is_a_stage(watching):
    model = Bare()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watching(model, optimizer) as seen:
        model(torch.randn(6, 3)).square().mean().backward()
        optimizer.step()
    assert seen.names("output") == ["Bare"]
    assert {site.layer for site in seen.sink.recording().of_kind("weight")} == {"Bare"}
