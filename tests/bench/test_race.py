"""A race: each contestant trains as if it were alone in the process."""

import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import torch

import gainstage as gs
from gainstage.bench import race
from gainstage.bench.workloads import WORKLOADS

TINY = replace(WORKLOADS["MLP"], rounds=3)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(race, "WARM_UP", 1)


def watching(run):
    @contextmanager
    def contestant(training, folder):
        with gs.watch(training.model, training.optimizer, dir=folder) as watch:
            run.append(watch)
            yield training.step
            run.append(len(watch.frame()))

    return contestant


def recording(kept):
    @contextmanager
    def contestant(training, _):
        yield lambda batch: kept.append((training.step(batch), torch.autograd.backward))

    return contestant


def test_each_takes_every_step_and_meets_only_its_own_watch(tmp_path):
    plain, bare, run, other = torch.autograd.backward, [], [], []
    contestants = {"bare": recording(bare), "one": watching(run), "other": watching(other)}
    times = race.race(TINY, contestants, tmp_path)
    assert torch.autograd.backward is plain
    assert {function for _, function in bare} == {plain}
    assert run[-1] == other[-1] == len(bare) - 1 == 3  # the last step is written at the end
    assert [len(own.cpu) for own in times.values()] == [3, 3, 3]
    assert all((own.cpu > 0).all() and (own.wall > 0).all() for own in times.values())


def test_all_train_the_same_weights_on_the_same_batches(tmp_path):
    one, other = [], []
    race.race(TINY, {"one": recording(one), "other": recording(other)}, tmp_path)
    assert [loss for loss, _ in one] == [loss for loss, _ in other]


def test_a_contestants_clocks_stand_still_while_others_take_their_turn():
    seen, true = [], time.monotonic

    @contextmanager
    def contestant():
        yield lambda _: seen.append(time.monotonic())

    with ExitStack() as stack:
        seat = race.Seat(stack, contestant())
        for _ in range(2):
            seat.take_turn(None)
            time.sleep(0.2)
    assert seen[1] - seen[0] < 0.1
    assert time.monotonic is true


def test_other_threads_keep_the_true_clock():
    seen = []

    @contextmanager
    def contestant():
        def step(_):
            thread = threading.Thread(target=lambda: seen.append(time.monotonic()))
            thread.start()
            thread.join()

        yield step

    with ExitStack() as stack:
        seat = race.Seat(stack, contestant())
        time.sleep(0.2)
        seat.take_turn(None)
    assert 0 <= time.monotonic() - seen[0] < 0.2
