"""The clock that runs between backward passes."""

import pytest

from gainstage.probe import ownwork
from gainstage.probe.guard import Guard
from gainstage.probe.ownwork import OwnWork
from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import MemorySink
from gainstage.store import Rank


@pytest.mark.parametrize("rank", [None, Rank(0, 2)])
def test_it_runs_between_backward_passes_without_our_own_time(monkeypatch, rank):
    now = [100.0]
    monkeypatch.setattr(ownwork, "this_rank", lambda: rank)
    monkeypatch.setattr(ownwork.time, "monotonic", lambda: now[0])
    guard, told = Guard(lambda *_: None, essential="frame"), []
    recorder = Recorder(MemorySink())
    monkeypatch.setattr(recorder, "add_run", lambda **numbers: told.append(numbers))
    clock = OwnWork(recorder, guard)
    clock.backward_begins()  # nothing came before
    clock.backward_ended()
    now[0] += 5.0
    guard.seconds += 2.0
    clock.backward_begins()
    clock.backward_begins()  # a second one within
    assert told == ([] if rank is None else [{"own_seconds": 3.0}])
