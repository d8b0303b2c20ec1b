"""Work on other processes: every task has its result, also where a worker is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gainstage.errors import MissingExtraError, UsageError
from gainstage.sweeps.backends import run_all

pytestmark = pytest.mark.filterwarnings("ignore:.*worker.*:UserWarning")  # joblib's, of the death


def run(work, tasks, **options):
    """Results by task, and the attempts that each took."""
    kept = {}

    def keep(result, attempts):
        value, task = result
        assert task not in kept
        kept[task] = value, attempts

    def lost(task, _):
        return None, task

    import tasks as module  # by the fixture

    run_all(module.Beside(work), tasks, keep=keep, lost=lost, **{"jobs": 2, **options})
    return kept


@pytest.fixture(autouse=True)
def by_value():
    """Workers cannot import this file."""
    import sys

    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_has_its_result(tasks, jobs):
    assert run(tasks.square, range(7), jobs=jobs) == {x: (x * x, 1) for x in range(7)}


def test_nothing_to_do_is_done(tasks):
    assert run(tasks.square, []) == {}


def test_work_is_done_in_another_process_also_one_at_a_time():
    found = run(lambda _: os.getpid(), [0, 1], jobs=1)
    assert os.getpid() not in [pid for pid, _ in found.values()]


def test_a_killed_worker_costs_nothing_but_time(tasks, tmp_path):
    found = run(tasks.KilledOnce(tmp_path, {2, 5}), range(8))
    assert {x: value for x, (value, _) in found.items()} == {x: x * x for x in range(8)}
    assert found[2][1] > 1
    assert found[5][1] > 1


def test_a_task_that_kills_each_worker_is_given_up_alone(tasks, tmp_path):
    found = run(tasks.KilledOnce(tmp_path, {3}, always=True), range(6))
    assert found.pop(3) == (None, 4)
    assert {x: value for x, (value, _) in found.items()} == {x: x * x for x in (0, 1, 2, 4, 5)}


def test_what_the_work_raises_is_raised_here():
    def work(x):
        msg = f"task {x}"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="task 1"):
        run(work, [1])


def test_an_unknown_backend_is_refused(tasks):
    with pytest.raises(UsageError, match="There is no backend 'dask': it is 'loky'"):
        run(tasks.square, [1], backend="dask")


def test_ray_that_is_missing_is_one_sentence(tasks, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"run `pip install 'gainstage\[ray\]'`"):
        run(tasks.square, [1], backend="ray")


@pytest.fixture
def ray(monkeypatch):
    """A Ray of this machine, closed to all others; ended after the test."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # as the backend does
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))  # Ray pickles by name
    found = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    yield found
    found.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_does_the_same(tasks, ray, tmp_path):
    assert run(tasks.square, range(7), backend="ray") == {x: (x * x, 1) for x in range(7)}
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    found = run(tasks.KilledOnce(tmp_path, {2}), range(4), backend="ray")
    assert {x: value for x, (value, _) in found.items()} == {x: x * x for x in range(4)}
    assert found[2][1] > 1
