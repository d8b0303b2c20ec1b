"""A failure anywhere in our code, at any time, never reaches the user's loop."""

from __future__ import annotations

import itertools
import sys
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs

pytestmark = pytest.mark.usefixtures("one_thread")

HOME = str(Path(gs.__file__).parent)
GUARD = str(Path(HOME, "probe", "guard.py"))


@pytest.fixture(scope="module", autouse=True)
def _every_step_is_written_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gainstage.probe.watch.WAIT", 0.0)
        yield


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
        self.bare = nn.Parameter(torch.eye(3))

    def forward(self, x):
        return torch.relu(self.b(torch.tanh(self.a(x)))) @ self.bare


def _train(folder=None, during=nullcontext):
    """Two steps: one gets its gradients by ``backward``, the other by ``grad``."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    run = nullcontext() if folder is None else gs.watch(net, optimizer, dir=folder, functional=True)
    with run, during():
        for i in range(2):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(torch.randn(6, 4)), torch.arange(6) % 3)
            if i % 2:
                loss.backward()
            else:
                found = torch.autograd.grad(loss, list(net.parameters()))
                for p, grad in zip(net.parameters(), found, strict=True):
                    p.grad = grad
            optimizer.step()
    return net, run


@contextmanager
def _at_each_call(see):
    """Call `see` with the frame of each python call of this thread."""
    sys.setprofile(lambda frame, event, _: see(frame) if event == "call" else None)
    try:
        yield
    finally:
        sys.setprofile(None)


def _guarded(frame):
    """Whether a call of ours was made from within the guard."""
    above = frame.f_back
    while above is not None and above.f_code.co_filename != GUARD:
        above = above.f_back
    return above is not None and frame.f_code.co_filename != GUARD


def _is_function(code):
    return code.co_filename.startswith(HOME) and not code.co_name.startswith("<")


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    """How often each function of ours is called under the guard in a training."""
    folder, calls = tmp_path_factory.mktemp("runs"), {}

    def see(frame):
        if _is_function(frame.f_code) and _guarded(frame):
            calls[frame.f_code] = calls.get(frame.f_code, 0) + 1

    _train(folder)
    _train(folder, lambda: _at_each_call(see))
    assert len(calls) > 50
    return calls


def _failing(code, nth, fail):
    """Have the `nth` guarded call of a function fail."""
    calls = 0

    def see(frame):
        nonlocal calls
        if frame.f_code is code and _guarded(frame):
            calls += 1
            if calls == nth:
                fail()

    return lambda: _at_each_call(see)


def _runtime_error():
    msg = "boom"
    raise RuntimeError(msg)


def _memory_error():
    raise MemoryError


def _error_of_torch():
    torch.ones(2) @ torch.ones(3)


def _interrupt():
    raise KeyboardInterrupt


def _events(run):
    return [e.site for e in gs.open(run.path).recording.events if e.code == "tap-off"]


FAILURES = (_runtime_error, _memory_error, _error_of_torch)


def test_a_failure_of_any_function_is_told_and_changes_nothing(tmp_path, reached):
    plain, _ = _train()
    expected = [p.detach().numpy().tobytes() for p in plain.parameters()]
    wrong = []
    for (code, count), fail in zip(reached.items(), itertools.cycle(FAILURES)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            net, run = _train(tmp_path, _failing(code, (count + 1) // 2, fail))
        same = [p.detach().numpy().tobytes() for p in net.parameters()] == expected
        off = _events(run)
        if not same or not off or len(told) != len(off) or len(set(off)) != len(off):
            wrong.append((code.co_filename, code.co_name, fail, same, len(told), off))
    assert wrong == []


def test_an_interrupt_in_any_function_is_the_users(tmp_path, reached):
    swallowed = []
    for code, count in list(reached.items())[::4]:
        backward = torch.autograd.backward
        try:
            _train(tmp_path, _failing(code, count, _interrupt))
            swallowed.append((code.co_filename, code.co_name))
        except KeyboardInterrupt:
            assert torch.autograd.backward is backward
    assert swallowed == []
