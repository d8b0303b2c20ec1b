"""``gs.sweep``: a function at every combination of some axes, with several seeds."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import joblib
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.sweeps.backends import Backend, run_all
from gainstage.sweeps.book import Book
from gainstage.sweeps.figures import figure_sweep
from gainstage.sweeps.halving import rungs, survivors
from gainstage.sweeps.results import Results
from gainstage.sweeps.space import Axis, Point, Value, axes_of, points
from gainstage.sweeps.tables import sweep_text
from gainstage.sweeps.trials import Attempt, Calling, Task, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_JOBS: Final = 4

Note = Callable[[str], None]
"""Told what goes on, a line at a time."""


class Sweep(Results):
    """A sweep that was made; printing it gives the best, a map of losses, and the table."""

    def figure(self) -> Figure:
        """Losses over the axes, and curves with the band of their seeds, as a matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        return figure_sweep(self)

    @override
    def __str__(self) -> str:
        return sweep_text(self)


def sweep(  # noqa: PLR0913 - by name, and few need any
    fn: Callable[..., Any],
    space: Mapping[str, str | Value | Iterable[Value]],
    *,
    seeds: int = 3,
    steps: int | None = None,
    halving: int = 1,
    jobs: int | None = None,
    backend: Backend = "loky",
    store: str | os.PathLike[str] | None = None,
) -> Sweep:
    """Train at every combination of some axes, each with several seeds, in other processes.

    Args:
        fn: called with the axes and ``seed`` as keywords, and ``steps`` if it takes that. It
            returns a loss, or the losses of all steps, of which the median of the last tenth
            counts. It must not depend on what this process has done meanwhile. What it raises is
            kept as a failed trial.
        space: by name, values or how they are written: ``"1e-4..1"``, ``"a,b"``.
        seeds: how many; they are 0, 1, 2, ...
        steps: of a whole training; None where `fn` decides by itself.
        halving: 3 trains all combinations for a ninth of the steps, the best third of them for a
            third, and the best third of those to the end; 1 trains all to the end.
        jobs: processes at a time; by default one a processor, up to four.
        backend: ``"loky"`` or ``"ray"`` (:func:`gainstage.sweeps.backends.run_all`).
        store: a file in which every trial is kept as it ends, so that the same call goes on where
            it was interrupted; None keeps nothing.

    Raises:
        MissingExtraError: Ray is asked for and not installed.
        RunFileError: the store cannot be used.
        UsageError: an argument makes no sense; the message says which.

    Example:
        >>> def fn(lr, seed):
        ...     return (1 - lr) ** 2 + seed / 100
        >>> found = sweep(fn, {"lr": "0.1,1.0"}, seeds=2, jobs=1)
        >>> str(found.best.row), found.best.row.mean
        ('lr=1', 0.005)
    """
    names = _keywords(fn)
    axes = axes_of(space)
    _check_function(fn, names, axes, steps)
    what = getattr(fn, "__qualname__", type(fn).__name__)
    return run_sweep(
        Calling(fn, timed=steps is not None),
        axes,
        what=what,
        seeds=seeds,
        steps=steps or 0,
        halving=halving,
        jobs=jobs,
        backend=backend,
        store=store,
    )


def run_sweep(  # noqa: PLR0913 - the arguments of a sweep, by name
    attempt: Attempt,
    axes: Sequence[Axis],
    *,
    what: str,
    seeds: int,
    steps: int,
    halving: int,
    jobs: int | None,
    backend: Backend,
    store: str | os.PathLike[str] | None,
    about: Mapping[str, Any] | None = None,
    note: Note = lambda _: None,
) -> Sweep:
    """A sweep of whatever makes a trial: :func:`sweep` has the arguments.

    Args:
        attempt: makes a trial in another process.
        axes: what is varied.
        what: is swept, by name.
        seeds: how many.
        steps: of a whole training.
        halving: one of so many goes on.
        jobs: processes at a time.
        backend: where.
        store: file that keeps every trial.
        about: tells the store one sweep from another, beside `what`.
        note: told of every rung.

    Raises:
        UsageError: a number is too small.
    """
    for name, value, least in (("seeds", seeds, 1), ("halving", halving, 1)):
        if not isinstance(value, int) or value < least:
            msg = f"{name} must be a whole number from {least} on, but got {value!r}."
            raise UsageError(msg)
    if halving > 1 and not steps:
        msg = "Halving shortens trainings: give steps=, which the function must take."
        raise UsageError(msg)
    jobs = jobs or max(1, min(joblib.cpu_count(), MOST_JOBS))
    left = points(axes)
    made: list[Trial] = []
    with Book(store, {"what": what, **(about or {})}) as book:
        for length in rungs(steps, halving, len(left)):
            tasks = [Task(point, seed, length) for point in left for seed in range(seeds)]
            known = {task: book.found(task) for task in tasks}
            missing = [task for task in tasks if known[task] is None]
            note(_rung(len(left), seeds, length, len(tasks) - len(missing)))
            found = {task: trial for task, trial in known.items() if trial is not None}

            def keep(trial: Trial, attempts: int, found: dict[Task, Trial] = found) -> None:
                found[trial.task] = replace(trial, attempts=attempts)
                book.keep(found[trial.task])

            run_all(attempt, missing, jobs=jobs, backend=backend, keep=keep, lost=_lost)
            made += found.values()
            losses: dict[Point, list[float]] = {point: [] for point in left}
            for task in tasks:
                losses[task.point].append(found[task].loss)
            left = survivors(losses, halving)
    return Sweep(axes, made, what)


def _lost(task: Task, attempts: int) -> Trial:
    told = f"its process was killed at each of {attempts} attempts"
    return Trial(*task, float("inf"), told=told, attempts=attempts)


def _rung(count: int, seeds: int, steps: int, known: int) -> str:
    length = f", {steps} steps each" if steps else ""
    there = f"; {known} of them are there already" if known else ""
    return f"{count} combinations x {seeds} seeds{length}{there}"


def _keywords(fn: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The parameters of a function; None if it takes any, or does not tell."""
    if not callable(fn):
        msg = f"sweep needs a function, but got {type(fn).__name__}."
        raise UsageError(msg)
    try:
        found = dict(inspect.signature(fn).parameters)
    except ValueError:
        return None
    return None if any(p.kind is p.VAR_KEYWORD for p in found.values()) else found


def _check_function(
    fn: Callable[..., Any],
    names: dict[str, inspect.Parameter] | None,
    axes: Sequence[Axis],
    steps: int | None,
) -> None:
    """Refuse a function that does not take what it will be given."""
    if names is None:
        return
    wanted = [*(axis.name for axis in axes), "seed", *(["steps"] if steps is not None else [])]
    name = getattr(fn, "__name__", type(fn).__name__)
    for one in wanted:
        if one not in names:
            msg = f"{name} takes no {one!r}; it is called with {', '.join(wanted)} as keywords."
            raise UsageError(msg)
    for one, parameter in names.items():
        if parameter.default is parameter.empty and one not in wanted:
            msg = f"{name} needs {one!r}, which is neither an axis nor 'seed' (or 'steps')."
            raise UsageError(msg)
