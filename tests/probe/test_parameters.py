"""Weights, gradients and exact updates: by hand, for every optimiser and every style of loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

X = [[1.0, 2.0], [3.0, 4.0]]


def _tiny():
    """One linear map of two numbers to one: y = w·x, with w = (1, 2)."""
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 2.0]]))
    return net


def test_every_number_of_the_first_step_is_the_one_worked_out_by_hand(watching):
    # y = (5, 11), L = mean y² = 73, dL/dy = y = (5, 11), dL/dw = (5+33, 10+44), Δw = -0.01 g
    net = _tiny()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with watching(net, optimizer) as seen:
        loss = net(torch.tensor(X)).square().mean()
        loss.backward()
        optimizer.step()
    assert seen.run("loss") == [73.0]
    assert seen.run("lr") == [pytest.approx(0.01)]
    assert seen.values("Linear", "input") == [pytest.approx(7.5**0.5)]
    assert seen.values("Linear", "output") == [pytest.approx(73**0.5)]
    assert seen.values("Linear", "output", "mean") == [8.0]
    assert seen.values("Linear", "output_grad") == [pytest.approx(73**0.5)]
    assert seen.values("weight", "weight") == [pytest.approx(2.5**0.5)]
    assert seen.values("weight", "grad", "mean") == [46.0]
    assert seen.values("weight", "grad", "max") == [54.0]
    assert seen.values("weight", "update", "min") == [pytest.approx(-0.54, abs=1e-6)]
    assert seen.values("weight", "update", "mean") == [pytest.approx(-0.46, abs=1e-6)]
    assert seen.run("grad_norm") == [pytest.approx((38**2 + 54**2) ** 0.5)]
    assert seen.run("predicted_change") == [pytest.approx(-0.01 * (38**2 + 54**2), rel=1e-5)]


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "weight decay": lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "Adam, one loop": lambda p: torch.optim.Adam(p, lr=0.01, foreach=False),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.5),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "maximising": lambda p: torch.optim.SGD(p, lr=0.01, maximize=True),
    "frozen rate": lambda p: torch.optim.SGD(p, lr=0.0),
}


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_weights_after_minus_weights_before(watching, rms, name, clip):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = OPTIMIZERS[name](net.parameters())
    expected = {key: [] for key in ("weight", "grad", "update")}
    with watching(net, optimizer) as seen:
        for _ in range(4):
            optimizer.zero_grad()
            net(torch.randn(8, 3)).square().mean().backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            before = net[0].weight.detach().clone()
            expected["weight"].append(rms(before))
            expected["grad"].append(rms(net[0].weight.grad))
            optimizer.step()
            expected["update"].append(rms(net[0].weight - before))
    for kind, numbers in expected.items():
        assert seen.values("0.weight", kind) == pytest.approx(numbers, rel=1e-6), kind


class Sign:
    """A duck-typed optimiser: no torch.optim.Optimizer anywhere."""

    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        with torch.no_grad():
            for p in self.params:
                p.sub_(self.lr * p.grad.sign())


def _loss(W1, W2):  # noqa: N803 - as users name them
    return (torch.tanh(torch.ones(4, 2) @ W1) @ W2).square().mean()


def _fresh():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((2, 3), (3, 1))]


def _by_data(note):
    W1, W2 = _fresh()  # noqa: N806
    for _ in range(3):
        _loss(W1, W2).backward()
        note(W1, W1.grad)
        for p in (W1, W2):
            p.data -= 0.1 * p.grad
            p.grad = None


def _under_no_grad(note):
    W1, W2 = _fresh()  # noqa: N806
    for _ in range(3):
        _loss(W1, W2).backward()
        note(W1, W1.grad)
        with torch.no_grad():
            for p in (W1, W2):
                p -= 0.1 * p.grad  # noqa: PLW2901 - in place, as users write it
                p.grad.zero_()


def _new_leaves(note):
    W1, W2 = _fresh()  # noqa: N806
    for _ in range(3):
        _loss(W1, W2).backward()
        note(W1, W1.grad)
        W1 = (W1 - 0.1 * W1.grad).detach().requires_grad_()  # noqa: N806
        W2 = (W2 - 0.1 * W2.grad).detach().requires_grad_()  # noqa: N806


def _by_autograd_grad(note):
    W1, W2 = _fresh()  # noqa: N806
    for _ in range(3):
        grads = torch.autograd.grad(_loss(W1, W2), [W1, W2])
        note(W1, grads[0])
        with torch.no_grad():
            for p, g in zip((W1, W2), grads, strict=True):
                p.sub_(0.1 * g)


def _new_leaves_by_autograd_grad(note):
    W1, W2 = _fresh()  # noqa: N806
    for _ in range(3):
        g1, g2 = torch.autograd.grad(_loss(W1, W2), (W1, W2))
        note(W1, g1)
        W1 = (W1 - 0.1 * g1).detach().requires_grad_()  # noqa: N806
        W2 = (W2 - 0.1 * g2).detach().requires_grad_()  # noqa: N806


def _duck_typed(note):
    W1, W2 = _fresh()  # noqa: N806
    optimizer = Sign([W1, W2], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        _loss(W1, W2).backward()
        note(W1, W1.grad.sign())
        optimizer.step()


STYLES = [
    _by_data,
    _under_no_grad,
    _new_leaves,
    _by_autograd_grad,
    _new_leaves_by_autograd_grad,
    _duck_typed,
]


@pytest.mark.parametrize("style", STYLES)
def test_updates_by_hand_are_measured_and_named_by_the_variables(watching_everything, rms, style):
    weights, changes, kept = [], [], []

    def note(weight, direction):
        kept.append(weight)
        weights.append(rms(weight))
        changes.append(0.1 * rms(direction))

    with watching_everything() as seen:
        style(note)
    assert seen.frames == 3
    assert seen.names("weight") == ["W1", "W2"]
    assert seen.values("W1", "weight") == pytest.approx(weights, rel=1e-6)
    # the last update is made of new leaves that no later backward reaches
    known = 2 if "leaves" in style.__name__ else 3
    assert seen.values("W1", "update")[:known] == pytest.approx(changes[:known], rel=1e-5)
    # the other weights are gone at the end, and with them their part of the last change
    assert all(change < 0 for change in seen.run("predicted_change")[:2])


def test_two_tensors_of_one_name_are_kept_apart(watching_everything):
    class Layer:
        def __init__(self, size):
            self.W = torch.full((2, 2), size, requires_grad=True)

        def __call__(self, x):
            return x @ self.W

    def run(first, second):
        for _ in range(3):
            second(first(torch.ones(1, 2))).sum().backward()
            for layer in (first, second):
                with torch.no_grad():
                    layer.W -= 0.1 * layer.W.grad
                layer.W.grad = None

    with watching_everything() as seen:
        run(Layer(1.0), Layer(2.0))
    assert len(seen.names("weight")) == 2
    assert len(set(seen.names("weight"))) == 2


def test_a_local_and_a_global_of_one_name_are_kept_apart(watching_everything):
    space = {"torch": torch, "w": torch.ones(2, requires_grad=True)}
    code = """
def train(x):
    outer = globals()
    w = torch.full((2,), 3.0, requires_grad=True)
    for _ in range(3):
        (w * outer["w"] * x).sum().backward()
        for p in (w, outer["w"]):
            p.data -= 0.1 * p.grad
            p.grad = None
"""
    exec(code, space)  # noqa: S102 - a module of its own
    with watching_everything() as seen:
        space["train"](torch.ones(2))
    assert len(seen.names("weight")) == 2
    first, second = seen.names("weight")
    levels = {seen.values(first, "weight")[0], seen.values(second, "weight")[0]}
    assert levels == {1.0, 3.0}


def test_tied_weights_are_one_site_with_aliases(watching, step):
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        step(net, optimizer)
    assert seen.names("weight") == ["0.weight"]
    assert seen.site("0.weight", "weight").aliases == ("1.weight",)
    assert seen.names("output") == ["0", "1"]


def test_a_shared_module_is_one_parameter_site(watching):
    shared = nn.Linear(4, 4)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        net(torch.randn(5, 4)).sum().backward()
        optimizer.step()
    assert seen.names("weight") == ["0.weight", "0.bias"]
    assert seen.site("0.weight", "weight").aliases == ()


def test_frozen_parameters_have_no_gradient_and_no_update(watching, step, mlp):
    mlp[0].requires_grad_(requires_grad=False)
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with watching(mlp, optimizer) as seen:
        for _ in range(2):
            step(mlp, optimizer)
    assert seen.names("grad") == seen.names("update") == ["2.weight", "2.bias"]
    assert seen.names("output") == ["0", "1", "2"]
    assert seen.names("output_grad") == ["2"]


def test_a_parameter_that_the_loss_never_reaches_has_an_update_of_zero_and_no_gradient(watching):
    net = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            net["used"](torch.ones(3, 2)).sum().backward()
            optimizer.step()
    assert seen.values("unused.weight", "update") == [0.0, 0.0]
    assert "unused.weight" not in seen.names("grad")
    assert seen.values("used.weight", "update", "zero_share") == [0.0, 0.0]


def test_an_input_that_wants_its_gradient_is_no_parameter_beside_an_optimizer(watching):
    net = nn.Sequential(nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        for _ in range(3):
            x = torch.randn(4, 2, requires_grad=True)
            net(x).sum().backward()
            optimizer.step()
    assert seen.names("weight") == ["0.weight", "0.bias"]


def test_a_parameter_that_the_optimizer_was_not_given_has_weights_and_gradients(watching, step):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net[1].parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        for _ in range(3):
            step(net, optimizer)
    assert set(seen.names("grad")) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert seen.values("0.weight", "update") == [0.0, 0.0, pytest.approx(np.nan, nan_ok=True)]


def test_alignment_is_the_cosine_with_the_step_before(watching):
    net = _tiny()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    grads = [(1.0, 0.0), (1.0, 0.0), (-2.0, 0.0), (0.0, 3.0)]
    with watching(net, optimizer) as seen:
        for direction in grads:
            optimizer.zero_grad()
            (net.weight * torch.tensor([direction])).sum().backward()
            optimizer.step()
    assert np.isnan(seen.values("weight", "grad", "cosine")[0])
    assert seen.values("weight", "grad", "cosine")[1:] == pytest.approx([1, -1, 0])
    assert seen.values("weight", "update", "cosine")[1:] == pytest.approx([1, -1, 0], abs=1e-5)


def test_sparse_gradients_are_measured_with_their_zeros(watching):
    table = nn.Embedding(10, 2, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.5)
    with watching(table, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            table(torch.tensor([1, 1, 3])).sum().backward()
            optimizer.step()
    assert seen.events("tap-off") == []
    assert seen.values("weight", "grad", "zero_share") == pytest.approx([0.8, 0.8])
    assert seen.values("weight", "grad", "max") == [2.0, 2.0]
    assert seen.values("weight", "update", "min") == pytest.approx([-1.0, -1.0], abs=1e-6)
    assert seen.run("grad_norm") == pytest.approx([(4 + 4 + 1 + 1) ** 0.5] * 2)


def test_sparse_adam_is_measured(watching):
    table = nn.Embedding(10, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.5)
    with watching(table, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            table(torch.tensor([1, 4])).square().sum().backward()
            optimizer.step()
    assert seen.events("tap-off") == []
    assert seen.values("weight", "update", "zero_share") == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_parameters_of_any_dtype_are_measured(watching, dtype):
    weight = nn.Parameter(torch.ones(3, 2, dtype=dtype))
    net = nn.Module()
    net.weight = weight
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    with watching(net, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            (weight * weight.conj()).real.float().sum().backward()
            optimizer.step()
    assert seen.events("tap-off") == []
    assert seen.site("weight", "weight").dtype == str(dtype).removeprefix("torch.")
    assert seen.values("weight", "update") == [pytest.approx(1.0), 0.0]


def test_parameters_added_in_the_middle_are_measured_from_then_on(watching, step, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        mlp.append(nn.Linear(3, 2))
        optimizer.add_param_group({"params": mlp[3].parameters()})
        step(mlp, optimizer)
    assert seen.events("tap-off") == []
    assert seen.frames == 2
    assert len(seen.names("update")) == 6


def test_a_parameter_that_is_cut_where_it_lies_is_read_as_far_as_it_goes(watching, step):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3, bias=False))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        for _ in range(2):
            step(net, optimizer)
        optimizer.zero_grad()
        net[1].weight.data = net[1].weight.data[:1]  # pruned: its memory begins where it began
        for _ in range(2):
            step(net, optimizer)
    for kind in ("weight", "grad", "update"):
        assert seen.values("1.weight", kind, "count") == [18, 18, 6, 6], kind


def test_a_parameter_that_was_cut_after_its_gradient_came_is_not_read_beyond_its_end(watching):
    net = nn.Linear(4, 6, bias=False)
    optimizer = Still(net.parameters(), {})
    with watching(net, optimizer) as seen:
        for i in range(3):
            optimizer.zero_grad()
            net(torch.ones(2, 4)).mean().backward()
            if i:
                net.weight.data = net.weight.data[: 4 - i]
            optimizer.step()
    assert seen.values("weight", "weight", "count") == [24, 12, 8]
    assert seen.values("weight", "grad", "count") == [24, 24, 12]


class Still(torch.optim.Optimizer):
    """Changes nothing."""

    def step(self, closure=None):
        pass
