"""Torch's fast paths of attention are taken with the function tap as without it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import gainstage as gs

from .leftovers import on_torch

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.TransformerEncoder(_layer(), 2)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x, mask=None):
        x = self.body(x, src_key_padding_mask=mask)
        return F.relu(self.attention(x, x, x, need_weights=False)[0])


def _layer():
    return nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)


def _batch():
    mask = torch.zeros(3, 5, dtype=torch.bool)
    mask[:, 3:] = True
    return torch.linspace(-1, 1, 240).reshape(3, 5, 16).sin(), mask


def _evaluations(net):
    x, mask = _batch()
    yield net(x)
    yield net(x, mask)
    yield net.body.layers[0](x)
    yield net.attention(x, x, x)[0]


def _train(watch, *, frozen=False):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    found = []
    with watch(net, optimizer) as run:
        for _ in range(2):
            net.train()
            optimizer.zero_grad()
            net(*_batch()).square().mean().backward()
            optimizer.step()
            net.eval().requires_grad_(not frozen)
            with torch.enable_grad() if frozen else torch.no_grad():
                found += [y.detach().numpy().tobytes() for y in _evaluations(net)]
            net.requires_grad_()
    return found, run


@pytest.mark.parametrize("frozen", [False, True])
def test_an_evaluation_comes_to_the_same(tmp_path, watching_everything, frozen):
    rest = on_torch()
    forwards = [kind.forward for kind in (nn.TransformerEncoder, nn.MultiheadAttention)]
    plain, _ = _train(lambda *_: nullcontext(), frozen=frozen)

    def watched(net, optimizer):
        return gs.watch(net, optimizer, dir=tmp_path, functional=True)

    found, run = _train(watched, frozen=frozen)
    assert found == plain
    recording = gs.open(run.path).recording
    assert len(recording.steps) == 2
    assert "relu" in [site.name for site in recording.of_kind("output")]
    assert [e for e in recording.events if e.code == "tap-off"] == []
    found, seen = _train(lambda *_: watching_everything(), frozen=frozen)
    assert found == plain
    assert seen.frames == 2
    assert {**on_torch(), "filters": 0} == {**rest, "filters": 0}  # sympy adds some
    assert [kind.forward for kind in (nn.TransformerEncoder, nn.MultiheadAttention)] == forwards


class Counting(TorchFunctionMode):
    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_modes_of_the_user_stay_in_their_places_whatever_happens(tmp_path):
    net = Net().eval()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Counting() as outer, gs.watch(net, optimizer, dir=tmp_path, functional=True):
        with Counting() as inner, torch.no_grad():
            before = torch.overrides._get_current_function_mode_stack()
            net(*_batch())
            assert outer.calls
            assert inner.calls
            with pytest.raises((RuntimeError, AssertionError)):
                net(torch.ones(3, 5, 7))
            assert torch.overrides._get_current_function_mode_stack() == before
        assert len(before) == 3


@pytest.mark.parametrize("make", [lambda: nn.TransformerEncoder(_layer(), 2), _layer])
def test_they_can_be_scripted_and_compiled(tmp_path, make):
    other, x = nn.Linear(2, 2), _batch()[0]
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    net = make().eval()
    expected = net(x)
    with gs.watch(other, optimizer, dir=tmp_path, functional=True):
        scripted = torch.jit.script(net)
        torch.compiler.reset()
        compiled = torch.compile(net, backend="eager", fullgraph=True)
        assert torch.allclose(compiled(x), expected, atol=1e-6)
        assert torch.allclose(scripted(x), expected, atol=1e-6)
