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


class Dense(nn.Module):
    """A layer that a user has written, with its activation."""

    def __init__(self, act):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.zeros(3))
        self.act = act

    def forward(self, x):
        return self.act(nn.functional.linear(x, self.weight, self.bias))


def test_a_layer_of_the_users_own_is_what_it_does(watching_everything):
    seen = train(watching_everything, nn.Sequential(Dense(torch.tanh), Dense(torch.tanh)))
    outputs = [(site.name, site.op) for site in seen.sink.recording().of_kind("output")]
    assert outputs == [
        ("0", "linear"),
        ("0.tanh", "tanh"),
        ("1", "linear"),
        ("1.tanh", "tanh"),
    ]
    weights = {(s.name, s.layer, s.op) for s in seen.sink.recording().of_kind("weight")}
    assert ("0.weight", "0", "linear") in weights


class Rectified(torch.autograd.Function):
    """A rectifier that torch's functions have no part in."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


class Act(nn.Module):
    """An activation that a user has written."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def forward(self, x):
        return self.way(x)


@pytest.mark.parametrize(
    ("way", "op"),
    [
        (torch.relu, "relu"),
        (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), "relu"),
        (lambda x: torch.where(x > 0, x, 0.0), "relu"),
        (lambda x: torch.maximum(x, torch.tensor(0.0)), "relu"),
        (lambda x: x.clamp(min=0), "relu"),
        (Rectified.apply, "relu"),
        (lambda x: nn.functional.dropout(x, 0.5), "Act"),
        (lambda x: torch.tanh(x) * 2, "Act"),
        (lambda x: torch.where(x > 0, x, 0.1 * x), "Act"),
    ],
)
def test_an_activation_of_the_users_own_is_what_it_returns(watching_everything, way, op):
    seen = train(watching_everything, nn.Sequential(nn.Linear(3, 4), Act(way), nn.Linear(4, 2)))
    assert [site.op for site in seen.sink.recording().of_kind("output")] == ["Linear", op, "Linear"]


@pytest.mark.parametrize(
    "way",
    [
        lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
        lambda x: x * (x > 0),
        lambda x: x * (x > 0).float(),
        lambda x: (x > 0) * x,
        lambda x: x.maximum(torch.zeros(())),
    ],
)
def test_a_rectifier_by_hand_is_a_stage(watching_everything, way):
    w1, w2 = (torch.randn(3, 3, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([w1, w2], lr=0.1)
    with watching_everything() as seen:
        (way(torch.randn(5, 3) @ w1) @ w2).square().mean().backward()
        optimizer.step()
    ops = [site.op for site in seen.sink.recording().of_kind("output")]
    assert ops == ["matmul", "relu", "matmul"]


def test_a_mask_is_no_rectifier(watching_everything):
    w = torch.randn(3, 3, requires_grad=True)
    mask = torch.randn(5, 3) > 0
    with watching_everything() as seen:
        x = torch.randn(5, 3) @ w
        (torch.where(mask, x, 0.0) + x * mask).square().mean().backward()
        torch.optim.SGD([w], lr=0.1).step()
    assert [site.op for site in seen.sink.recording().of_kind("output")] == ["matmul"]


def test_data_in_the_making_are_no_stages(watching_everything):
    w1, w2 = (torch.randn(3, 3, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([w1, w2], lr=0.1)
    with watching_everything() as seen:
        x = torch.tanh(torch.randn(5, 3))
        for _ in range(2):
            (torch.tanh(x @ w1) @ w2).square().mean().backward()
            optimizer.step()
    assert seen.names("output") == ["w1", "tanh", "w2"]


class Hidden(nn.Module):
    """Keeps its layers where torch does not look."""

    def __init__(self):
        super().__init__()
        self.steps = [nn.Linear(3, 3), nn.Linear(3, 3)]
        self.by_name = {"last": nn.Linear(3, 3)}
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        for step in self.steps:
            x = nn.ReLU()(step(x))
        return self.head(self.by_name["last"](x))


def test_layers_in_a_plain_list_have_their_names_and_are_told(watching_everything):
    seen = train(watching_everything, nn.Sequential(Hidden()))
    names = ["0.steps.0", "ReLU", "0.steps.1", "ReLU#2", "0.by_name.last", "0.head"]
    assert seen.names("output") == names
    assert seen.values("0.steps.0.weight", "update")[0] == 0.0  # the optimiser has it not
    assert seen.values("0.head.weight", "update")[0] > 0
    assert seen.values("0.by_name.last.bias", "grad")[0] > 0
    assert seen.probe.ending()["facts"]["plain_containers"] == ["steps", "by_name"]


class Turned(nn.Module):
    """A layer as GPT-2 has it: the bias comes first, the weight is [in, out]."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


def test_of_several_parameters_in_a_product_the_matrix_counts(watching_everything):
    seen = train(watching_everything, nn.Sequential(Turned()))
    weights = {(site.name, site.layer, site.op) for site in seen.sink.recording().of_kind("weight")}
    assert weights == {("0.weight", "0", "matmul"), ("0.bias", "0", "Turned")}
    assert [(s.name, s.op) for s in seen.sink.recording().of_kind("output")] == [("0", "matmul")]
