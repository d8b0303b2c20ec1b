"""A watch that fails to begin or to end leaves nothing, and nothing of it reaches the user."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.probe.guard import StopTraining

from .leftovers import on_objects, on_torch

pytestmark = pytest.mark.usefixtures("one_thread")


def _training():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def _step(net, optimizer):
    optimizer.zero_grad()
    net(torch.ones(2, 4)).square().mean().backward()
    optimizer.step()


def _fail(*_, **__):
    msg = "boom"
    raise ZeroDivisionError(msg)


BEGINNINGS = [
    "watch.Probe.__init__",
    "watch.taps.module_tap",
    "watch.taps.optimizer_tap",
    "watch.taps.backward_tap",
    "watch.FunctionTap.__init__",
    "watch.FunctionTap.__enter__",
    "probe.Probe.add_optimizer",
    "forward.Forward.stages_of",
    "wrappers.GRAD._wrap",
]


@pytest.mark.parametrize("place", BEGINNINGS)
def test_a_watch_that_fails_to_begin_undoes_everything(monkeypatch, tmp_path, place):
    net, optimizer = _training()
    objects, rest = on_objects(net, optimizer), on_torch()
    run = gs.watch(net, optimizer, dir=tmp_path, functional="Forward" not in place)
    with monkeypatch.context() as patch:
        patch.setattr(f"gainstage.probe.{place}", _fail)
        with pytest.raises(ZeroDivisionError, match=r"^boom$"):
            run.__enter__()
    assert on_objects(net, optimizer) == objects
    assert on_torch() == rest
    info = gs.open(run.path).info
    assert (info.status, info.outcome) == ("failed", "ZeroDivisionError: boom")
    assert run._writer._connection is None
    with gs.watch(net, optimizer, dir=tmp_path) as second:
        _step(net, optimizer)
    assert len(gs.open(second.path).recording.steps) == 1


def test_an_optimizer_that_refuses_hooks_says_so_and_nothing_hangs_on_the_model(tmp_path):
    class Refusing(torch.optim.SGD):
        def register_step_post_hook(self, _):
            _fail()

    net, _ = _training()
    optimizer = Refusing(net.parameters(), lr=0.1)
    objects, rest = on_objects(net, optimizer), on_torch()
    with pytest.raises(ZeroDivisionError), gs.watch(net, optimizer, dir=tmp_path):
        pass
    assert on_objects(net, optimizer) == objects
    assert on_torch() == rest


ENDINGS = [
    "probe.Probe.finish",
    "probe.Probe.ending",
    "probe.Probe.release",
    "forward.Forward.release",
    "watch.Writer.finish",
    "functions.remove_function_mode",
    "recorder.Recorder.flush",
]


@pytest.mark.parametrize("place", ENDINGS)
@pytest.mark.parametrize("raises", [None, KeyError, KeyboardInterrupt])
@pytest.mark.parametrize("filters", ["always", "error"])
def test_a_watch_that_fails_to_end_warns(monkeypatch, tmp_path, place, raises, filters):
    net, optimizer = _training()
    objects, rest = on_objects(net, optimizer), on_torch()
    ended = []
    with warnings.catch_warnings(record=True) as told, monkeypatch.context() as patch:
        warnings.simplefilter(filters)
        try:
            with gs.watch(net, optimizer, dir=tmp_path, functional=True) as run:
                _step(net, optimizer)
                patch.setattr(f"gainstage.probe.{place}", _fail)
                if raises:
                    raise raises
        except (KeyError, KeyboardInterrupt) as error:
            ended.append(type(error))
    if "mode" in place:
        torch._C._pop_torch_function_stack()
    assert ended == ([raises] if raises else [])
    assert len(told) == (filters == "always")
    assert all("Gainstage" in str(t.message) and "boom" in str(t.message) for t in told)
    assert all(t.category is RuntimeWarning for t in told)
    optimizer.zero_grad()
    assert on_objects(net, optimizer) == objects
    assert {**on_torch(), "filters": 0} == {**rest, "filters": 0}
    if place != "watch.Writer.finish":
        status = {None: "finished", KeyError: "failed", KeyboardInterrupt: "interrupted"}
        assert gs.open(run.path).info.status == status[raises]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StopTraining])
def test_an_interrupt_while_a_watch_ends_is_the_users_and_the_rest_is_done(
    monkeypatch, tmp_path, stop
):
    def interrupt(*_, **__):
        raise stop

    net, optimizer = _training()
    rest = on_torch()
    monkeypatch.setattr("gainstage.probe.probe.Probe.finish", interrupt)
    run = gs.watch(net, optimizer, dir=tmp_path)
    with pytest.raises(stop), run:
        _step(net, optimizer)
    assert on_torch() == rest
    assert gs.open(run.path).info.status == "finished"


def test_an_error_of_the_users_that_cannot_be_told_is_told_by_its_name(tmp_path):
    class SpeechlessError(Exception):
        def __str__(self):
            return _fail()

    net, optimizer = _training()
    run = gs.watch(net, optimizer, dir=tmp_path)
    with pytest.raises(SpeechlessError), run:
        raise SpeechlessError
    info = gs.open(run.path).info
    assert (info.status, info.outcome) == ("failed", "SpeechlessError")
