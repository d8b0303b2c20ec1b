"""Objects of the user's that raise when we look at them: torch never asks, so nobody may notice."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs

pytestmark = pytest.mark.usefixtures("one_thread")


class Shy:
    """Raises whatever is asked once it is told to."""

    shy = False

    def look(self):
        if self.shy:
            msg = "do not look"
            raise RuntimeError(msg)


class ShyOptimizer(Shy, torch.optim.SGD):
    @property
    def param_groups(self):
        self.look()
        return self._groups

    @param_groups.setter
    def param_groups(self, groups):
        self._groups = groups


class ShyModule(Shy, nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.bare = nn.Parameter(torch.eye(4))

    def children(self):
        self.look()
        return super().children()

    def forward(self, x):
        return F.relu(self.inner(x) @ self.bare.t())


def _train(folder, model, optimizer, *, functional=False, steps=3):
    watch = nullcontext()
    if folder is not None:
        watch = gs.watch(model, optimizer, dir=folder, functional=functional)
    with warnings.catch_warnings(record=True) as told, watch as run:
        warnings.simplefilter("always")
        for i in range(steps):
            for thing in (*model.modules(), optimizer):
                thing.shy = bool(i)
            loss = F.mse_loss(model(torch.linspace(-1, 1, 8).reshape(2, 4)), torch.ones(2, 4))
            found = torch.autograd.grad(loss, list(model.parameters()))
            for parameter, grad in zip(model.parameters(), found, strict=True):
                parameter.data -= 0.1 * grad
    bits = [p.detach().numpy().tobytes() for p in model.parameters()]
    return bits, [str(t.message) for t in told], run


def _model(kind):
    torch.manual_seed(0)
    return kind()


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("kind", [ShyModule, lambda: nn.Linear(4, 4)])
def test_nobody_notices_that_we_look(tmp_path, kind, functional):
    def run(folder):
        model = _model(kind)
        return _train(
            folder, model, ShyOptimizer(model.parameters(), lr=0.1), functional=functional
        )

    bits, told, watch = run(tmp_path)
    assert bits == run(None)[0]
    off = [e.site for e in gs.open(watch.path).recording.events if e.code == "tap-off"]
    assert off
    assert len(told) == len(off) == len(set(off))
    assert all("do not look" in text for text in told)


@pytest.mark.parametrize("functional", [False, True])
def test_arguments_that_raise_are_torchs_to_refuse(tmp_path, functional):
    class Tensors(list):
        def __iter__(self):
            msg = "do not look"
            raise RuntimeError(msg)

    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def call():
        with pytest.raises(Exception) as error:  # noqa: PT011 - compared below
            torch.autograd.backward(Tensors([model(torch.ones(1, 4)).sum()]))
        return type(error.value), str(error.value)

    plain = call()
    with (
        warnings.catch_warnings(),
        gs.watch(model, optimizer, dir=tmp_path, functional=functional),
    ):
        warnings.simplefilter("ignore")
        assert call() == plain
