"""What replaces torch's functions: one wrapper, any number of watches, ended in any order."""

from __future__ import annotations

import inspect
import pickle
import threading
from contextlib import ExitStack
from itertools import permutations

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import gainstage as gs

from .leftovers import on_objects, on_torch

pytestmark = pytest.mark.usefixtures("one_thread")


def _training(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def _step(net, optimizer):
    optimizer.zero_grad()
    torch.tanh(net(torch.ones(2, 4))).square().mean().backward()
    optimizer.step()


def _steps(run):
    return len(gs.open(run.path).recording.steps)


def _off(run):
    return [event.data for event in gs.open(run.path).recording.events if event.code == "tap-off"]


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_watches_end_in_any_order(tmp_path, order, functional):
    net, optimizer = _training()
    objects, rest = on_objects(net, optimizer), on_torch()
    runs = [gs.watch(net, optimizer, dir=tmp_path, functional=functional) for _ in range(3)]
    for run in runs:
        run.__enter__()
    for i in order:
        _step(net, optimizer)
        runs[i].__exit__(None, None, None)
    _step(net, optimizer)
    assert on_torch() == rest
    optimizer.state.clear()
    optimizer.zero_grad()
    assert on_objects(net, optimizer) == objects
    assert [_steps(runs[i]) for i in order] == [1, 2, 3]
    assert [_off(run) for run in runs] == [[], [], []]
    if functional:
        names = [[s.name for s in gs.open(r.path).recording.of_kind("output")] for r in runs]
        assert all("tanh" in found for found in names)


def test_all_watches_of_the_process_end_in_opening_order(watching_everything):
    net, optimizer = _training()
    rest = on_torch()
    one, other = watching_everything(), watching_everything()
    seen = [one.__enter__(), other.__enter__()]
    torch.optim.Adam(net.parameters())
    _step(net, optimizer)
    one.__exit__(None, None, None)
    _step(net, optimizer)
    other.__exit__(None, None, None)
    assert on_torch() == rest
    assert [s.frames for s in seen] == [1, 2]
    assert [s.probe.facts["optimizers"] for s in seen] == [["Adam", "SGD"]] * 2


def test_a_wrapper_looks_like_what_it_wraps(tmp_path):
    net, optimizer = _training()
    backward, grad = torch.autograd.backward, torch.autograd.grad
    with gs.watch(net, optimizer, dir=tmp_path):
        for plain, name in ((backward, "backward"), (grad, "grad")):
            here = getattr(torch.autograd, name)
            assert here is not plain
            assert inspect.signature(here) == inspect.signature(plain)
            assert (here.__name__, here.__doc__) == (plain.__name__, plain.__doc__)
            assert pickle.loads(pickle.dumps(here)) is here  # noqa: S301 - our own
        with pytest.raises(TypeError, match=r"^grad\(\) missing 1 required .*: 'inputs'"):
            torch.autograd.grad(torch.ones(1))


def test_what_others_put_on_top_stays_and_calls_go_through(tmp_path, monkeypatch):
    net, optimizer = _training()
    plain, calls = torch.autograd.backward, []
    run = gs.watch(net, optimizer, dir=tmp_path)
    with run:
        ours = torch.autograd.backward

        def theirs(*args, **kwargs):
            calls.append(1)
            return ours(*args, **kwargs)

        monkeypatch.setattr(torch.autograd, "backward", theirs)
        _step(net, optimizer)
    assert torch.autograd.backward is theirs
    with gs.watch(net, optimizer, dir=tmp_path) as second:
        _step(net, optimizer)
    assert torch.autograd.backward is theirs
    monkeypatch.undo()  # to our wrapper, which nobody listens to
    _step(net, optimizer)
    with gs.watch(net, optimizer, dir=tmp_path) as third:
        _step(net, optimizer)
    assert torch.autograd.backward is plain
    assert [len(calls), _steps(run), _steps(second), _steps(third)] == [2, 1, 1, 1]


class Counting(TorchFunctionMode):
    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_modes_of_the_user_may_end_before_or_after(tmp_path):
    net, optimizer = _training()
    rest = on_torch()
    run, mode = gs.watch(net, optimizer, dir=tmp_path, functional=True), Counting()
    run.__enter__()
    mode.__enter__()
    run.__exit__(None, None, None)
    torch.ones(1).relu()
    assert mode.calls
    mode.__exit__(None, None, None)
    assert on_torch() == rest
    run, mode = gs.watch(net, optimizer, dir=tmp_path, functional=True), Counting()
    mode.__enter__()
    run.__enter__()
    mode.__exit__(None, None, None)  # torch takes the innermost off, which is ours
    run.__exit__(None, None, None)
    assert on_torch() == rest


def test_a_watch_that_is_closed_by_another_thread_takes_nobodys_mode(tmp_path):
    net, optimizer = _training()
    run, mode = gs.watch(net, optimizer, dir=tmp_path, functional=True), Counting()
    run.__enter__()

    def close():
        with mode:
            run.__exit__(None, None, None)
            torch.ones(1).relu()

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert mode.calls
    assert _off(run) == []
    with ExitStack() as stack:  # what is left on this thread is inert
        stack.callback(torch._C._pop_torch_function_stack)
        _step(net, optimizer)
    assert _off(run) == []


@pytest.mark.parametrize("of", ["parameters", "data"])
def test_many_gradients_at_once_are_no_step(tmp_path, of):
    net, optimizer = _training()
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        for _ in range(3):
            x = torch.randn(2, 4, requires_grad=True)
            inputs = x if of == "data" else list(net.parameters())
            units = torch.eye(6).reshape(6, 2, 3)
            torch.autograd.grad(net(x), inputs, units, is_grads_batched=True)
            torch.autograd.functional.jacobian(net, x, vectorize=True)
            _step(net, optimizer)
    assert _off(run) == []
    assert _steps(run) == 3
