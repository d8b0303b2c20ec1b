"""The learning-rate range test (Smith 2017) with several seeds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import numpy as np

from gainstage.doctor.candidates import Change
from gainstage.doctor.child import check
from gainstage.errors import UsageError
from gainstage.sweeps.backends import Backend, run_all
from gainstage.sweeps.ranges import WINDOW, RangeTest, judge, ramp
from gainstage.sweeps.scripts import Script
from gainstage.sweeps.sweeping import MOST_JOBS
from gainstage.sweeps.trials import Task, Trial

_REACHED = 0.9
"""Share of the ramp that a script must have come to, if nothing stopped it."""


def range_test(
    fn: Callable[..., Sequence[float]],
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 6,
    chance: float = math.nan,
) -> RangeTest:
    """Raise the learning rate from step to step, with several seeds, and read a band from it.

    Args:
        fn: called with ``rates`` (one a step) and ``seed`` as keywords; makes that many steps, each
            at its rate, and returns their losses, fewer if it broke down.
        low: rate of the first step.
        high: rate of the last one.
        steps: how many.
        seeds: how many; they are 0, 1, 2, ...
        chance: loss of the best constant prediction (``ln C`` for C classes of equal share): only
            what falls below it counts. NaN if unknown.

    Raises:
        UsageError: an argument makes no sense, or there is too little to judge by.

    Example:
        >>> def fn(rates, seed):
        ...     w, losses = 1.0 + seed / 10, []
        ...     for rate in rates:
        ...         losses.append(w * w)
        ...         w -= rate * 2 * w
        ...     return losses
        >>> found = range_test(fn, seeds=3)
        >>> found.band[0] < 0.5 < 2 * found.band[1]
        True
    """
    rates = ramp(low, high, steps)
    rows = []
    for seed in range(seeds):
        losses = [float(loss) for loss in fn(rates=rates.tolist(), seed=seed)][:steps]
        rows.append(losses + [math.nan] * (steps - len(losses)))
    return judge(rates, rows, chance)


def range_script(  # noqa: PLR0913 - the options of the command, by name
    target: str,
    args: Sequence[str] = (),
    *,
    module: bool = False,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 6,
    jobs: int | None = None,
    backend: Backend = "loky",
    seconds: float = 600.0,
) -> RangeTest:
    """A range test of an unmodified script: the rate of its optimisers is raised as it runs.

    Args:
        target: path of the script, or name of a module.
        args: its own arguments.
        module: run a module, as ``python -m`` does.
        low: rate of the first step.
        high: rate of the last one.
        steps: how many; at most a hundred losses are read, means where there are more.
        seeds: how many; number 0 is the script's own.
        jobs: runs at a time; by default one a processor, up to four.
        backend: ``"loky"`` or ``"ray"``.
        seconds: a run may take; then it is ended.

    Raises:
        ScriptError: there is no such script.
        UsageError: a number makes no sense, or the script makes too few steps.
    """
    check(target, module=module)
    ramp(low, high, steps)
    jobs = jobs or max(1, min(joblib.cpu_count(), MOST_JOBS))
    change = Change.of("ramp-learning-rate", low=low, high=high, steps=steps)
    here = os.fspath(Path.cwd())
    script = Script(target, tuple(args), module, here, jobs, seconds, (change,))
    found: dict[int, Trial] = {}

    def keep(trial: Trial, _: int) -> None:
        found[trial.seed] = trial

    def lost(task: Task, _: int) -> Trial:
        return Trial(*task, math.inf, told="its process was killed")

    tasks = [Task((), seed, steps) for seed in range(seeds)]
    run_all(script, tasks, jobs=jobs, backend=backend, keep=keep, lost=lost)
    return _of_trials([found[seed] for seed in range(seeds)], low, high, steps)


def _of_trials(trials: Sequence[Trial], low: float, high: float, steps: int) -> RangeTest:
    longest = max(trials, key=lambda trial: len(trial.curve))
    if len(longest.curve) < 2 * WINDOW:
        why = longest.told or f"it made {len(longest.curve)} steps"
        msg = f"The script cannot be tested: {why}."
        raise UsageError(msg)
    at = [step for step, _ in longest.curve]
    if at[-1] < _REACHED * steps and not any(trial.told for trial in trials):
        msg = (
            f"The script ends after about {at[-1] + 1} of the {steps} steps in which the rate is "
            f"raised, so the higher rates were never tried. Give --steps {at[-1] + 1}."
        )
        raise UsageError(msg)
    rows = [[dict(trial.curve).get(step, math.nan) for step in at] for trial in trials]
    rates = low * (high / low) ** (np.array(at) / (steps - 1))
    known = [trial.chance for trial in trials if math.isfinite(trial.chance)]
    return judge(rates, rows, float(np.median(known)) if known else math.nan)
