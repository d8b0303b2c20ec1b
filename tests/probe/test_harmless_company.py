"""A watch beside other watches, threads and processes."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import ExitStack

import pytest
import torch
from torch import nn

import gainstage as gs

from .leftovers import on_objects, on_torch

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
STEPS = 6


def _training(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return net, torch.optim.Adam(net.parameters(), lr=0.01)


def _step(net, optimizer, i=0):
    optimizer.zero_grad()
    x = torch.linspace(-1, i + 1, 24).reshape(6, 4)
    torch.tanh(net(x)).square().mean().backward()
    optimizer.step()


def _train(net, optimizer):
    for i in range(STEPS):
        _step(net, optimizer, i)


def _bits(net):
    return [p.detach().numpy().tobytes() for p in net.parameters()]


def _trained(seed=0):
    net, optimizer = _training(seed)
    _train(net, optimizer)
    return _bits(net)


def _steps(run):
    return len(gs.open(run.path).recording.steps)


def _failures(run):
    return [e.data for e in gs.open(run.path).recording.events if e.code == "tap-off"]


@pytest.mark.parametrize("functional", [False, True])
def test_two_watches_on_one_model_both_see_it_and_leave_nothing(tmp_path, functional):
    net, optimizer = _training()
    objects, rest = on_objects(net, optimizer), on_torch()
    options = {"dir": tmp_path, "functional": functional}
    with gs.watch(net, optimizer, **options) as outer, gs.watch(net, optimizer, **options) as inner:
        _train(net, optimizer)
    assert _bits(net) == _trained()
    assert (_steps(outer), _steps(inner)) == (STEPS, STEPS)
    assert (_failures(outer), _failures(inner)) == ([], [])
    assert on_torch() == rest
    optimizer.state.clear()
    assert on_objects(net, optimizer) == objects


@pytest.mark.parametrize("functional", [False, True])
def test_two_watches_on_two_models_leave_nothing(tmp_path, functional):
    first, second = _training(0), _training(1)
    rest = on_torch()
    options = {"dir": tmp_path, "functional": functional}
    with gs.watch(*first, **options):
        _train(*first)
        with gs.watch(*second, **options) as inner:
            _train(*second)
    assert [_bits(first[0]), _bits(second[0])] == [_trained(0), _trained(1)]
    assert _steps(inner) == STEPS
    assert _failures(inner) == []
    assert on_torch() == rest


def test_watches_one_after_the_other_on_one_model_see_their_part_each(tmp_path):
    net, optimizer = _training()
    runs = [gs.watch(net, optimizer, dir=tmp_path) for _ in range(2)]
    for run in runs:
        with run:
            _train(net, optimizer)
    assert [_steps(run) for run in runs] == [STEPS, STEPS]
    assert runs[0].path != runs[1].path


def _in_child(body):
    """Run a function in a forked child; whether it returned."""
    child = os.fork()
    if child == 0:
        try:
            warnings.simplefilter("error")
            body()
        except BaseException:  # noqa: BLE001 - the child must not go on as a second pytest
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("functional", [False, True])
def test_a_forked_child_trains_and_the_run_is_the_parents(tmp_path, functional):
    net, optimizer = _training()
    expected = _trained()

    def train_on():
        for i in range(2, STEPS):
            _step(net, optimizer, i)
        assert _bits(net) == expected

    with gs.watch(net, optimizer, dir=tmp_path, functional=functional) as run:
        _step(net, optimizer, 0)
        _step(net, optimizer, 1)
        assert _in_child(train_on)
        assert len(run.frame()) == 1  # the second frame is open
        train_on()
    assert _steps(run) == STEPS
    assert gs.open(run.path).info.status == "finished"


def test_a_forked_child_that_leaves_the_block_does_not_end_the_run(tmp_path):
    net, optimizer = _training()
    with ExitStack() as stack:
        run = stack.enter_context(gs.watch(net, optimizer, dir=tmp_path))
        _step(net, optimizer)
        assert _in_child(stack.close)
        assert gs.open(run.path).info.status != "finished"
        _step(net, optimizer)
    assert _steps(run) == 2
    assert gs.open(run.path).info.status == "finished"


def _in_threads(*bodies):
    errors = []

    def guarded(body):
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_training_in_another_thread_is_seen_as_in_this_one(tmp_path):
    net, optimizer = _training()
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        _in_threads(lambda: _train(net, optimizer))
    assert _bits(net) == _trained()
    assert _steps(run) == STEPS
    assert _failures(run) == []


def test_trainings_in_two_threads_come_to_what_they_come_to_alone(watching_everything):
    first, second = _training(0), _training(1)
    with watching_everything():
        _in_threads(lambda: _train(*first), lambda: _train(*second))
    assert [_bits(first[0]), _bits(second[0])] == [_trained(0), _trained(1)]


def test_watched_trainings_in_two_threads_come_to_what_they_come_to_alone(tmp_path):
    first, second = _training(0), _training(1)
    with gs.watch(*first, dir=tmp_path), gs.watch(*second, dir=tmp_path):
        _in_threads(lambda: _train(*first), lambda: _train(*second))
    assert [_bits(first[0]), _bits(second[0])] == [_trained(0), _trained(1)]
