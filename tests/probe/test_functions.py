"""Functional calls: activations, products with bare parameters, clamps, reshapes."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.probe.functions import FunctionTap
from gainstage.probe.listeners import OnlyLosses
from gainstage.probe.probe import Probe
from gainstage.probe.sink import MemorySink

CALLS = {
    "relu": [F.relu, torch.relu, lambda x: x.relu(), lambda x: F.relu(x, inplace=True)],
    "tanh": [F.tanh, torch.tanh, lambda x: x.tanh(), lambda x: x.clone().tanh_()],
    "sigmoid": [F.sigmoid, torch.sigmoid, lambda x: x.sigmoid()],
    "gelu": [F.gelu, lambda x: F.gelu(x, approximate="tanh")],
    "silu": [F.silu],
    "elu": [F.elu],
    "selu": [F.selu, torch.selu],
    "leaky_relu": [F.leaky_relu],
    "softplus": [F.softplus],
    "mish": [F.mish],
    "hardswish": [F.hardswish],
    "relu6": [F.relu6],
    "layer_norm": [lambda x: F.layer_norm(x, (3,))],
}
CASES = [(op, i) for op, calls in CALLS.items() for i in range(len(calls))]


@pytest.mark.parametrize(("op", "i"), CASES)
def test_activations_and_norms_are_stages(watching_everything, op, i):
    W = torch.randn(4, 3, requires_grad=True)  # noqa: N806 - as users name it
    with watching_everything() as seen:
        y = CALLS[op][i](torch.randn(5, 4) @ W)
        y.square().sum().backward()
    assert seen.names("output") == ["W", op]
    assert seen.site(op, "output").op == op
    assert seen.site("W", "output").op == "matmul"
    assert seen.values(op, "output") == [pytest.approx(float(y.detach().square().mean().sqrt()))]
    assert seen.values(op, "output_grad", "count") == [15.0]


CLAMPS = {
    "min": (lambda x: x.clamp(min=0), True),
    "first": (lambda x: torch.clamp(x, 0), True),
    "clamp_min": (lambda x: x.clamp_min(0.0), True),
    "both": (lambda x: x.clamp(0, 1), False),
    "another": (lambda x: x.clamp(min=-1), False),
    "max": (lambda x: x.clamp(max=0), False),
    "a tensor": (lambda x: torch.clamp(x, min=torch.zeros(())), False),
}


@pytest.mark.parametrize("kind", CLAMPS)
def test_only_a_clamp_at_zero_is_a_rectifier(watching_everything, kind):
    call, expected = CLAMPS[kind]
    W = torch.randn(4, 3, requires_grad=True)  # noqa: N806
    with watching_everything() as seen:
        call(torch.randn(5, 4) @ W).sum().backward()
    assert ("relu" in seen.names("output")) is expected


PRODUCTS = {
    "@": lambda x, w: x @ w,
    "matmul": torch.matmul,
    "mm": torch.mm,
    "method": lambda x, w: x.mm(w),
    "einsum": lambda x, w: torch.einsum("ij,jk->ik", x, w),
    "F.linear": lambda x, w: F.linear(x, w.t()),
    "transposed": lambda x, w: x @ w.T.T,
    "scaled": lambda x, w: x @ (w * 0.5),
    "reshaped": lambda x, w: x @ w.view(4, 3),
}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_products_with_a_bare_parameter_are_stages_of_its_name(watching_everything, kind):
    W = torch.randn(4, 3, requires_grad=True)  # noqa: N806
    with watching_everything() as seen:
        PRODUCTS[kind](torch.randn(5, 4), W).sum().backward()
    assert seen.names("output") == ["W"]
    assert seen.names("input") == ["W"]
    assert seen.names("weight") == ["W"]
    assert seen.site("W", "weight").layer == "W"


@pytest.mark.parametrize("samples", [1, 5])
def test_an_activation_that_a_parameter_scaled_is_no_parameter(watching_everything, samples):
    gain, W = (torch.randn(*shape, requires_grad=True) for shape in ((3,), (4, 3)))  # noqa: N806
    with watching_everything() as seen:
        F.linear(torch.randn(samples, 3) * gain, W).sum().backward()
    assert seen.names("output") == ["W"]
    assert seen.names("weight") == ["W", "gain"]


def test_a_lookup_in_a_bare_table_is_an_embedding_without_input(watching_everything):
    C = torch.randn(10, 3, requires_grad=True)  # noqa: N806
    with watching_everything() as seen:
        C[torch.tensor([1, 2, 2])].sum().backward()
    assert seen.site("C", "output").op == "embedding"
    assert seen.names("input") == []


def test_calls_inside_a_module_carry_its_name(watching_everything):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)

        def forward(self, x):
            return F.relu(self.a(F.relu(self.a(x))))

    net = nn.Sequential(Net())
    with watching_everything() as seen:
        net(torch.randn(2, 3)).sum().backward()
    assert seen.names("output") == ["0.a", "0.relu", "0.a#2", "0.relu_2"]


def test_the_ordinals_begin_again_with_each_step(watching_everything):
    W = torch.randn(3, 3, requires_grad=True)  # noqa: N806
    with watching_everything() as seen:
        for _ in range(3):
            torch.tanh(torch.tanh(torch.ones(2, 3) @ W)).sum().backward()
            W.data -= 0.1 * W.grad
    assert seen.names("output") == ["W", "tanh", "tanh_2"]


def test_products_of_data_alone_are_no_stages(watching_everything):
    w = torch.randn(3, requires_grad=True)
    with watching_everything() as seen:
        x = torch.relu(torch.randn(4, 3) @ torch.randn(3, 3))
        with torch.no_grad():
            torch.relu(x @ w)
        (x * w).sum().backward()
    assert "W" not in seen.names("output")
    assert seen.names("output_grad") == []


def test_a_subclass_of_tensor_passes_through(watching_everything):
    class Mine(torch.Tensor):
        pass

    w = torch.randn(3, 2, requires_grad=True)
    with watching_everything() as seen:
        x = torch.randn(4, 3).as_subclass(Mine)
        y = torch.relu(x @ w)
        assert type(y) is Mine
        y.sum().backward()
    assert seen.events("tap-off") == []


def test_results_of_watched_functions_are_what_they_were(watching_everything):
    x = torch.randn(4, 3)
    w = torch.randn(3, 2, requires_grad=True)
    plain = torch.relu(x @ w)
    with watching_everything():
        assert torch.equal(torch.relu(x @ w), plain)
        assert F.cross_entropy(x, torch.tensor([0, 1, 2, 0])) == F.cross_entropy(
            x, torch.tensor([0, 1, 2, 0])
        )


def test_an_error_in_a_watched_function_is_the_users(watching_everything):
    with watching_everything() as seen, pytest.raises(RuntimeError, match="shapes"):
        torch.ones(2, 3) @ torch.ones(2, 3, requires_grad=True)
    assert seen.events("tap-off") == []


def test_a_weight_that_is_made_anew_at_every_step_leaves_at_once(watching_everything):
    gone = []
    gc.disable()  # nothing is to wait for it
    try:
        with watching_everything() as seen:
            p = {"w": torch.ones(3, 2, requires_grad=True)}
            for _ in range(4):
                torch.relu(torch.ones(2, 3) @ p["w"]).square().mean().backward()
                old = weakref.ref(p["w"])
                p["w"] = (p["w"] - 0.1 * p["w"].grad).detach().requires_grad_()
                gone.append(old() is None)
    finally:
        gc.enable()
    assert gone == [True] * 4
    assert seen.names("output") == ["p['w']", "relu"]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.broken = nn.Linear(4, 4), nn.Linear(4, 1), False

    def forward(self, x):
        x = F.relu(F.relu(self.a(x)) - 1.0)
        if self.broken:
            raise MemoryError
        return self.b(x)


@pytest.mark.parametrize("calls", [1, 2])
def test_functional_stages_keep_their_names_after_forwards_without_a_backward(watching, calls):
    net = Twice()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.ones(2, 4)
    with watching(net, optimizer, functional=True) as seen:
        for i in range(4):
            for _ in range(i):
                net(x)
            net.broken = True
            with pytest.raises(MemoryError):
                net(x)
            net.broken = False
            sum(net(x).square().mean() for _ in range(calls)).backward()
            optimizer.step()
    names = ["a", "relu", "relu_2", "b"]
    if calls == 2:
        names += [f"{name}#2" for name in names]
    assert sorted(seen.names("output")) == sorted(names)
    for name in names:
        assert seen.values(name, "output", "count") == [2.0 if name[0] == "b" else 8.0] * 4


def test_a_listener_to_losses_alone_hears_of_those_that_are_written_out():
    x, y, w = torch.randn(8, 3), torch.randn(8, 1), torch.randn(3, 1, requires_grad=True)
    forward = Probe(MemorySink()).forward
    with FunctionTap(OnlyLosses(forward)):
        loss = (torch.relu(x @ w) - y).pow(2).mean()
        F.mse_loss(x @ w, y)
    assert forward.criterion.written.read(loss).value == float(loss.detach())
    assert forward.criterion.facts["loss"] == "mse_loss"
    assert not forward.stages.layers()
