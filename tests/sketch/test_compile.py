"""How long kernels take to be made is told apart from how long they take."""

from types import FunctionType

import numpy as np

import gainstage as gs
from gainstage.sketch import compile as made


def call(kernel, *values):
    return kernel(*values)


def called_from(module):
    return FunctionType(call.__code__, {"__name__": module})


def test_the_making_of_a_kernel_of_ours_is_no_work():
    kernel = made.jit()(lambda x: x + 1)
    before, clock = made.preparing_seconds(), made.working_time
    assert called_from("gainstage.somewhere")(kernel, 1) == 2
    taken = made.preparing_seconds() - before
    assert taken > 0
    called_from("gainstage.somewhere")(kernel, 2)
    assert made.preparing_seconds() - before == taken  # it is there
    assert clock() <= clock()


def test_the_clock_stands_still_meanwhile(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(made._PREPARATION, "seconds", 0.0)
    monkeypatch.setattr(made.time, "monotonic", lambda: now[0])
    start = made.working_time()
    call = called_from("gainstage.somewhere")
    for _ in range(2):  # one kernel asks for another
        call(made._PREPARATION.on_start, None)
    now[0] = 107.0
    made._PREPARATION.on_end(None)
    made._PREPARATION.on_end(None)
    now[0] = 110.0
    assert made.working_time() - start == 3.0


def test_kernels_of_the_users_are_their_work():
    before = made.preparing_seconds()
    assert called_from("train")(made.jit()(lambda x: x - 1), 1) == 0
    assert made.preparing_seconds() == before


def test_the_overhead_of_a_first_watch_knows_nothing_of_it(tmp_path, monkeypatch):
    """What was prepared before a watch began is not taken off it."""
    import torch

    monkeypatch.setattr(made._PREPARATION, "seconds", made._PREPARATION.seconds + 1e6)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gs.watch(model, optimizer, dir=tmp_path) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 3)).square().mean().backward()
            optimizer.step()
    assert 0 < watch.overhead < np.inf
    assert 0 < watch.recording.info.probe_seconds < watch.recording.info.seconds < 1e5
