"""Runs tasks on other processes, here or on a Ray cluster, and outlives those that are killed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import joblib

from gainstage.errors import MissingExtraError, UsageError

T = TypeVar("T")
R = TypeVar("R")

Backend: TypeAlias = Literal["loky", "ray"]

_TOGETHER: Final = 2
"""How often everything that is left is begun again after a worker died."""

_CLOSED: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to 0, it has Ray listen on 127.0.0.1 alone, on Linux too; its own options cannot say that."""

_DEATHS: Final = frozenset(
    {"RayActorError", "WorkerCrashedError", "NodeDiedError", "OutOfMemoryError"}
)
"""What Ray calls the death of a worker; anything else that it raises is no such thing."""

_A_BATCH: Final = 4
"""Tasks for each job that are handed at once to a backend that gives nothing back in between."""


def run_all(
    work: Callable[[T], R],
    tasks: Sequence[T],
    *,
    jobs: int,
    backend: Backend = "loky",
    keep: Callable[[R, int], None],
    lost: Callable[[T, int], R],
) -> None:
    """Do the work on every task, each result being kept as soon as it is there.

    A worker that is killed takes the others' tasks of that moment with it: all that has no result
    is begun again, twice; then one task at a time, so that one that kills its worker each time is
    found and given up alone.

    Args:
        work: done in another process; what it raises is raised here.
        tasks: any number.
        jobs: tasks at a time; each is done in another process, also if it is one at a time.
        backend: ``"loky"`` on this machine, ``"ray"`` on a cluster (or this machine, if none
            is named by ``RAY_ADDRESS``).
        keep: is given each result, and the number of the attempt.
        lost: makes the result of a task whose worker died each time.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: there is no such backend.
    """
    left = dict(enumerate(tasks))
    with _chosen(backend, jobs):
        for attempt in range(1, _TOGETHER + 2):
            with _outliving():
                for index, result in _results(work, left, jobs):
                    keep(result, attempt)
                    del left[index]
            if not left:
                return
        last = _TOGETHER + 2
        for index, task in tuple(left.items()):
            with _outliving():
                for _, result in _results(work, {index: task}, jobs):
                    keep(result, last)
                    del left[index]
            if index in left:
                keep(lost(task, last), last)


@contextlib.contextmanager
def _chosen(backend: Backend, jobs: int) -> Iterator[None]:
    if backend not in get_args(Backend):
        msg = f"There is no backend {backend!r}: it is 'loky' (this machine) or 'ray'."
        raise UsageError(msg)
    if backend == "ray":
        _start_ray(jobs)
    with joblib.parallel_config(backend=backend, n_jobs=max(jobs, 2)):  # one would be this process
        yield


def _start_ray(jobs: int) -> None:
    """Join the cluster that the program or ``RAY_ADDRESS`` names, or start one here, closed."""
    alone = not os.environ.get("RAY_ADDRESS")
    if alone:
        os.environ.setdefault(_CLOSED, "0")  # read when Ray is imported
    try:
        ray: Any = importlib.import_module("ray")
        register = importlib.import_module("ray.util.joblib").register_ray
    except ImportError as error:
        msg = "The backend 'ray' needs Ray: run `pip install 'gainstage[ray]'`."
        raise MissingExtraError(msg) from error
    register()
    if not ray.is_initialized():
        here = {"num_cpus": jobs, "include_dashboard": False} if alone else {}
        ray.init(log_to_driver=False, **here)


def _results(work: Callable[[T], R], tasks: Mapping[int, T], jobs: int) -> Iterator[tuple[int, R]]:
    """Results as they come, each with the number of its task."""
    calls = [joblib.delayed(_numbered)(work, index, task) for index, task in tasks.items()]
    together: dict[str, Any] = {"batch_size": 1, "pre_dispatch": jobs}
    try:
        parallel = joblib.Parallel(return_as="generator_unordered", **together)
    except ValueError:  # the backend gives everything back at the end
        size = _A_BATCH * jobs
        with joblib.Parallel(**together) as parallel:  # its workers stay from batch to batch
            for first in range(0, len(calls), size):
                yield from parallel(calls[first : first + size])
        return
    yield from parallel(calls)


def _numbered(work: Callable[[T], R], index: int, task: T) -> tuple[int, R]:
    return index, work(task)


@contextlib.contextmanager
def _outliving() -> Iterator[None]:
    """Go on after the death of a worker."""
    try:
        yield
    except BrokenExecutor:
        return
    except Exception as error:
        if _DEATHS.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
