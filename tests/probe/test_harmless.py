"""What a watch leaves behind: nothing on the user's objects, nothing on torch, no memory."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from contextlib import ExitStack, suppress

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs

from .leftovers import on_objects, on_torch

pytestmark = pytest.mark.usefixtures("one_thread")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
        self.bare = nn.Parameter(torch.eye(3))

    def forward(self, x):
        return torch.relu(self.b(torch.tanh(self.a(x)))) @ self.bare


def _training():
    torch.manual_seed(0)
    net = Net()
    return net, torch.optim.Adam(net.parameters(), lr=0.01)


def _loss(net):
    return F.cross_entropy(net(torch.randn(6, 4)), torch.arange(6) % 3)


def _step(net, optimizer):
    optimizer.zero_grad()
    _loss(net).backward()
    optimizer.step()


def _interrupted(net, _):
    _loss(net).backward()
    raise KeyboardInterrupt


def _failing(net, optimizer):
    optimizer.step(lambda: net(torch.ones(2, 5)))


ENDINGS = {
    "after a step": _step,
    "after nothing": lambda *_: None,
    "after a forward": lambda net, _: _loss(net),
    "after a backward": lambda net, _: _loss(net).backward(),
    "by an interrupt": _interrupted,
    "by an error in a closure": _failing,
}


@pytest.fixture(params=["", "functional", "everything"])
def way(request, tmp_path, watching_everything):
    """A way to watch: a model and an optimiser in, a context out."""
    if request.param == "everything":
        return lambda *_: watching_everything()
    functional = request.param == "functional"
    return lambda net, optimizer: gs.watch(net, optimizer, dir=tmp_path, functional=functional)


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_nothing_stays_on_modules_parameters_optimizers_or_torch(way, end):
    net, optimizer = _training()
    _step(net, optimizer)
    objects, rest = on_objects(net, optimizer), on_torch()
    with suppress(KeyboardInterrupt, RuntimeError), way(net, optimizer):
        for _ in range(2):
            _step(net, optimizer)
        end(net, optimizer)
    assert on_objects(net, optimizer) == objects
    assert on_torch() == rest


def test_outputs_and_leaves_that_outlive_the_watch_have_no_hooks(way):
    net, optimizer = _training()
    x = torch.randn(6, 4, requires_grad=True)
    with way(net, optimizer):
        hidden = net.a(x)
        y = net.b(hidden)
        y.sum().backward()
        optimizer.step()
        unused = net.a(x)
    assert not any(t._backward_hooks for t in (x, hidden, y, unused))
    unused.sum().backward()


def test_no_output_or_gradient_is_alive_after_its_step(way):
    net, optimizer = _training()
    outputs = []
    for module in (net.a, net.b, net):
        module.register_forward_hook(lambda _, __, out: outputs.append(weakref.ref(out)))
    with way(net, optimizer):
        for _ in range(3):
            outputs.clear()
            loss = _loss(net)
            loss.backward()
            grads = [weakref.ref(p.grad) for p in net.parameters()]
            optimizer.step()
            optimizer.zero_grad()
            lost = [*outputs, *grads, weakref.ref(loss)]
            del loss
            gc.collect()
            assert [ref() for ref in lost] == [None] * len(lost)


def test_no_output_of_an_evaluation_is_alive_after_it(way):
    net, optimizer = _training()
    with way(net, optimizer):
        _step(net, optimizer)
        for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
            with mode():
                y = net(torch.randn(6, 4))
            lost = weakref.ref(y)
            del y
            gc.collect()
            assert lost() is None


def test_model_and_optimizer_are_collectable_once_the_watch_is_closed(tmp_path):
    net, optimizer = _training()
    run = gs.watch(net, optimizer, dir=tmp_path, functional=True)
    with run:
        _step(net, optimizer)
    lost = [weakref.ref(x) for x in (net, optimizer, *net.modules(), *net.parameters())]
    del net, optimizer
    gc.collect()
    assert [ref() for ref in lost] == [None] * len(lost)
    assert len(run.frame()) == 1


def test_model_is_collectable_if_the_watch_was_never_entered(tmp_path):
    net, optimizer = _training()
    run = gs.watch(net, optimizer, dir=tmp_path)
    lost = weakref.ref(net)
    del net, optimizer, run
    gc.collect()
    assert lost() is None


@pytest.mark.slow
def test_memory_does_not_grow_over_two_thousand_steps(tmp_path):
    net, optimizer = _training()
    sizes = {}
    with gs.watch(net, optimizer, dir=tmp_path, functional=True) as run, ExitStack() as stack:
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        for step in range(2001):
            _step(net, optimizer)
            if step in {1000, 2000}:  # where the windows of histograms are equally full
                run._probe.flush()  # how many steps wait to be written is up to the clock
                gc.collect()
                sizes[step] = tracemalloc.get_traced_memory()[0]
    assert sizes[2000] - sizes[1000] < 50_000
