"""A sweep of an unmodified script: the doctor's interventions are its axes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

import joblib

from gainstage.doctor.candidates import Change
from gainstage.doctor.child import check
from gainstage.doctor.laboratory import Laboratory
from gainstage.doctor.laboratory import Trial as LaboratoryTrial
from gainstage.doctor.workplace import Workplace
from gainstage.errors import UsageError
from gainstage.sweeps.backends import Backend
from gainstage.sweeps.space import Axis, Value, axes_of, written
from gainstage.sweeps.sweeping import MOST_JOBS, Note, Sweep, run_sweep
from gainstage.sweeps.trials import Task, Trial
from gainstage.theory.schemes import SCHEMES

AXES: Final[Mapping[str, tuple[str, str, str]]] = {
    "lr": ("set-learning-rate", "rate", "learning rate of the first parameter group"),
    "lr_scale": ("scale-learning-rate", "factor", "factor on every learning rate"),
    "init": ("initialise", "scheme", "scheme by which weights are drawn"),
    "clip": ("clip-gradients", "norm", "largest norm of the gradient"),
}
"""What can be swept in a script: intervention, its parameter, what it is."""

NONE: Final = "script"
"""A value that leaves the script as it is."""

Extra: TypeAlias = tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Makes trials by running a script in a child process, in a copy of its folders.

    Attributes:
        target: path of the script, or name of a module.
        args: its own arguments.
        module: run a module, as ``python -m`` does.
        folder: working directory.
        jobs: how many run at a time, among which the processors are shared out.
        seconds: a run may take; then it is ended.
        always: changes of every trial, beside those of its point.
    """

    target: str
    args: tuple[str, ...] = ()
    module: bool = False
    folder: str = "."
    jobs: int = 1
    seconds: float = 600.0
    always: Extra = ()

    def __call__(self, task: Task) -> Trial:
        """Run it once."""
        with Workplace(self.target, module=self.module, here=self.folder) as place:
            laboratory = Laboratory(
                place,
                self.args,
                module=self.module,
                steps=task.steps,
                jobs=self.jobs,
                limit=self.seconds,
            )
            (outcome,) = laboratory.run([LaboratoryTrial(self.changes(task), task.seed)])
        if outcome is None:
            raise KeyboardInterrupt
        loss = math.inf if outcome.loss is None or outcome.told else outcome.loss
        chance = math.nan if outcome.progress is None else outcome.progress.chance
        return Trial(*task, loss, outcome.curve, outcome.told, outcome.seconds, chance=chance)

    def changes(self, task: Task) -> Extra:
        """The interventions of one trial."""
        point = [(AXES[name], value) for name, value in task.point if value != NONE]
        return (*(Change.of(one, **{key: value}) for (one, key, _), value in point), *self.always)


def check_axes(axes: Sequence[Axis]) -> None:
    """Refuse axes that a script does not have.

    Raises:
        UsageError: an axis is unknown, or one of its values is of the wrong kind.
    """
    for axis in axes:
        if axis.name not in AXES:
            near = get_close_matches(axis.name, AXES, n=1)
            known = ", ".join(f"{name} ({what})" for name, (_, _, what) in AXES.items())
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {known}."
            msg = f"A script has no axis {axis.name!r}. {hint}"
            raise UsageError(msg)
        for value in axis.values:
            if value != NONE:
                _check_value(axis.name, value)


def _check_value(name: str, value: Value) -> None:
    if name == "init":
        SCHEMES[str(value)]  # raises with what was meant
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        msg = f"{name}={value} is no number above 0 (or {NONE!r}, which leaves it as it is)."
        raise UsageError(msg)


def sweep_script(  # noqa: PLR0913 - the options of the command, by name
    target: str,
    args: Sequence[str],
    over: Sequence[str],
    *,
    module: bool = False,
    seeds: int = 3,
    steps: int = 300,
    halving: int = 3,
    jobs: int | None = None,
    backend: Backend = "loky",
    seconds: float = 600.0,
    store: str | os.PathLike[str] | None = None,
    note: Note = lambda _: None,
) -> Sweep:
    """Run a script at every combination of some axes, each with several seeds.

    Args:
        target: path of the script, or name of a module.
        args: its own arguments.
        over: axes as they are written: ``"lr=1e-4..1"``, ``"init=kaiming_normal,script"``.
        module: run a module, as ``python -m`` does.
        seeds: how many; number 0 is the script's own.
        steps: of a whole run, which is stopped there politely.
        halving: one of so many combinations goes on to a rung so many times as long.
        jobs: runs at a time; by default one a processor, up to four.
        backend: ``"loky"`` or ``"ray"``.
        seconds: a run may take; then it is ended.
        store: file that keeps every trial.
        note: told of every rung.

    Raises:
        ScriptError: there is no such script.
        UsageError: an axis or a number makes no sense; the message says which.
    """
    check(target, module=module)
    axes = axes_of(written(over))
    check_axes(axes)
    jobs = jobs or max(1, min(joblib.cpu_count(), MOST_JOBS))
    here = os.fspath(Path.cwd())
    return run_sweep(
        Script(target, tuple(args), module, here, jobs, seconds),
        axes,
        what=target,
        seeds=seeds,
        steps=steps,
        halving=halving,
        jobs=jobs,
        backend=backend,
        store=store,
        about={"args": list(args), "module": module},
        note=note,
    )
