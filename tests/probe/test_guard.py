"""Whatever fails inside a tap stays there: the training goes on, that tap is off, told once."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from gainstage.probe.guard import Guard, StopTraining, tap

# the place where the failure is put -> the taps that it switches off, in order
PLACES = {
    "gainstage.probe.forward.enclosing_module": ["module"],
    "gainstage.probe.stages.Stages.output": ["module", "function"],
    "gainstage.probe.units.UnitWatch.see": ["module", "function"],
    "gainstage.probe.parameters.Parameters.before": ["optimizer"],
    "gainstage.probe.parameters.Parameters.after": ["optimizer"],
    "gainstage.probe.leaves.Leaves.discover": ["backward"],
    "gainstage.probe.criterion.Criterion.saw": ["loss"],
    "gainstage.probe.criterion.Criterion.take": ["backward"],
    "gainstage.probe.recorder.Recorder.commit": ["frame"],
    "gainstage.probe.sink.MemorySink.write_frames": ["frame"],
    "gainstage.probe.forward.Forward._functional_name": ["function"],
    "gainstage.probe.stages.Stages.measure_gradient": ["gradient"],
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def _train(enter=nullcontext):
    torch.manual_seed(0)
    with enter() as seen:
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(torch.randn(6, 4)), torch.arange(6) % 3)
            loss.backward()
            optimizer.step()
    return net, seen


@pytest.mark.parametrize("error", [ValueError("boom"), MemoryError("boom")])
@pytest.mark.parametrize("place", PLACES)
def test_a_failing_tap_is_switched_off_and_the_training_is_the_same(
    monkeypatch, watching_everything, place, error
):
    def fail(*_, **__):
        raise error

    plain, _ = _train()
    monkeypatch.setattr(place, fail)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        net, seen = _train(watching_everything)
    for a, b in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)
    assert len(told) == len(PLACES[place])
    for warning, event, name in zip(told, seen.events("tap-off"), PLACES[place], strict=True):
        assert warning.category is RuntimeWarning
        what = "the whole watch" if name == "frame" else "itself"
        assert str(warning.message).startswith(
            f"Gainstage's {name} tap failed and switched {what} off; the training goes on "
        )
        assert f"{type(error).__name__}: boom" in str(warning.message)
        assert event.site == name
        assert event.data["message"].startswith(f"{type(error).__name__}: boom (at ")


@pytest.mark.parametrize("place", PLACES)
def test_warnings_as_errors_do_not_let_it_through_either(monkeypatch, watching_everything, place):
    def fail(*_, **__):
        raise ValueError

    monkeypatch.setattr(place, fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, seen = _train(watching_everything)
    assert [event.site for event in seen.events("tap-off")] == PLACES[place]


@pytest.mark.parametrize("place", [p for p, off in PLACES.items() if "frame" not in off])
@pytest.mark.filterwarnings("ignore:Gainstage's .* tap failed")
def test_the_other_taps_go_on(monkeypatch, watching_everything, place):
    def fail(*_, **__):
        raise ValueError

    monkeypatch.setattr(place, fail)
    _, seen = _train(watching_everything)
    assert seen.frames == 4
    off = PLACES[place]
    losses = sum(not math.isnan(loss) for loss in seen.run("loss"))
    assert losses == (4 if "backward" not in off else losses)
    assert len(seen.names("update")) == (0 if "optimizer" in off else 4)
    if off == ["loss"]:
        assert seen.names("output") == ["a", "tanh", "b"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StopTraining, SystemExit])
def test_an_interrupt_inside_a_tap_is_not_swallowed(monkeypatch, watching_everything, stop):
    def fail(*_, **__):
        raise stop

    monkeypatch.setattr("gainstage.probe.stages.Stages.output", fail)
    with pytest.raises(stop):
        _train(watching_everything)


class Meter:
    def __init__(self):
        self.failures = []
        self.guard = Guard(lambda name, message: self.failures.append((name, message)))
        self.calls = 0

    @tap("a")
    def good(self, inner=None):
        """What it says."""
        self.calls += 1
        if inner:
            inner()

    @tap("b")
    def bad(self):
        self.calls += 1
        raise ValueError

    @tap("c")
    def context(self):
        self.calls += 1
        self.grad = torch.is_grad_enabled()


def test_taps_run_without_gradients_inside_any_context():
    meter = Meter()
    with torch.enable_grad():
        meter.context()
        assert torch.is_grad_enabled()
    assert meter.grad is False


def test_a_tap_does_not_run_inside_another():
    meter = Meter()
    meter.good(meter.good)
    assert meter.calls == 1
    meter.good()
    assert meter.calls == 2


def test_a_tap_that_failed_is_not_called_again_and_is_told_once():
    meter = Meter()
    with pytest.warns(RuntimeWarning, match="Gainstage's b tap failed"):
        meter.bad()
    meter.bad()
    assert meter.calls == 1
    assert meter.guard.is_off("b")
    assert not meter.guard.is_off("a")
    ((name, message),) = meter.failures
    assert name == "b"
    assert message.startswith("ValueError (at test_guard.py:")


def test_with_an_essential_tap_all_go_off():
    meter = Meter()
    meter.guard = Guard(lambda *_: None, essential="b")
    meter.good()
    with pytest.warns(RuntimeWarning, match="b tap failed and switched the whole watch off"):
        meter.bad()
    seconds, calls = meter.guard.seconds, meter.calls
    meter.good()
    meter.guard.call_lightly("a", meter.good)
    assert meter.guard.shield("a", len, "abc") is None
    assert (meter.guard.seconds, meter.calls) == (seconds, calls)


def test_telling_the_run_may_fail_as_well():
    def refuse(name, message):
        raise OSError(name, message)

    meter = Meter()
    meter.guard = Guard(refuse)
    with pytest.warns(RuntimeWarning, match="and telling the run failed"):
        meter.bad()


def test_a_tap_keeps_its_name_and_returns_nothing():
    assert Meter.good.__name__ == "good"
    assert Meter.good.__doc__ == "What it says."
    assert Meter().good() is None


def test_time_spent_in_taps_is_counted():
    meter = Meter()
    meter.good()
    assert meter.guard.seconds > 0
