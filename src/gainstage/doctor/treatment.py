"""From findings to tried remedies: what to try, what it will cost, and how to write what helped."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import joblib
import numpy as np

from gainstage.doctor.candidates import Candidate
from gainstage.doctor.child import Observation
from gainstage.doctor.laboratory import Laboratory, outcome_of
from gainstage.doctor.remedies import candidates, controls, reserve, yardstick
from gainstage.doctor.rewrite import rewritten
from gainstage.doctor.trials import Plan, Study
from gainstage.doctor.workplace import Workplace
from gainstage.recording import Recording
from gainstage.records import Finding, Remedy
from gainstage.store import rank_in

_ENDED: Final = frozenset({"finished", "stopped", "failed"})
_MOST_JOBS: Final = 4

_IN_COPIES: Final = (
    "Each works in a copy of the working directory as it was found; what the script writes "
    "elsewhere, by absolute paths or beside it (../), each writes again.{linked}"
)
_LINKED: Final = " Too large to copy, and written to again as well: {names}."
_NAMED: Final = 3
"""So many of those are named."""

_IN_PLACE: Final = (
    "Each repeats all that the script does, such as the files that it writes, in place: {why}."
)


class Effort(NamedTuple):
    """How much is tried.

    Attributes:
        most: remedies at most.
        seeds: how many seeds.
        jobs: runs at a time; None for one a processor, up to four.
    """

    most: int = 3
    seeds: int = 2
    jobs: int | None = None


class Treatment:
    """The trials of one script.

    Args:
        seen: the script as it was observed.
        findings: what is wrong with it.
        args: its own arguments.
        workplace: where trials work, made before the script was observed; None for no trials.
        module: run a module, as ``python -m`` does.
        effort: how much is tried.
    """

    def __init__(
        self,
        seen: Observation,
        findings: Sequence[Finding],
        args: Sequence[str] = (),
        *,
        workplace: Workplace | None,
        module: bool = False,
        effort: Effort = Effort(),  # noqa: B008 - frozen
    ) -> None:
        self._seen = seen
        run = seen.recording
        chosen: list[Candidate] = []
        if run is not None and seen.trained and run.info.status in _ENDED:
            chosen = candidates(findings, run, effort.most)
        if workplace is None or not chosen or run is None or rank_in(os.environ):
            self._study = None
            return
        measure = yardstick(findings)
        workplace.settle(run.info.started + float(run.times[0]))
        self._workplace = workplace

        def write(one: Candidate) -> Candidate:
            return _written(one, run, workplace)

        self._plan = Plan(
            tuple(map(write, chosen)),
            controls(findings, run),
            effort.seeds,
            None if measure else outcome_of(run),
            measure,
            tuple(map(write, reserve(findings, run, effort.most))),
            write,
        )
        self._jobs = effort.jobs or max(1, min(joblib.cpu_count(), _MOST_JOBS))
        laboratory = Laboratory(
            workplace,
            tuple(args),
            module=module,
            steps=len(run.steps),
            seconds=seen.seconds,
            jobs=self._jobs,
        )
        self._study = Study(self._plan, laboratory)

    @property
    def cost(self) -> str:
        """What the trials will take, in a few sentences; ``""`` if there is nothing to try."""
        if self._study is None:
            return ""
        few, most = self._plan.runs
        names = "; ".join(one.name for one in self._plan.candidates)
        runs = f"{few}" if few == most else f"{few} to {most}"
        each = self._seen.seconds / self._jobs
        time = " to ".join(dict.fromkeys(f"{n * each:.0f}" for n in (few, most)))
        spare = self._plan.reserve_runs
        checked = "One is of the script as the diff writes it. " if self._plan.checks else ""
        more = f"; up to {spare} more if none of them helps" if spare else ""
        return (
            f"Trying {len(self._plan.candidates)}: {names}. That takes {runs} runs of the script, "
            f"{self._jobs} at a time, about {time} s{more} (--no-trial: none). {checked}"
            + self._where()
        )

    def _where(self) -> str:
        """Where the trials work, in a sentence, and what of the user's they may write to."""
        if self._workplace.told:
            return _IN_PLACE.format(why=self._workplace.told)
        names = [f"'{name}'" for name in self._workplace.linked]
        if len(names) > _NAMED:
            names[_NAMED - 1 :] = [f"{len(names) - _NAMED + 1} others"]
        linked = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        return _IN_COPIES.format(linked=_LINKED.format(names=linked) if linked else "")

    @property
    def warning(self) -> str:
        """What of the user's own has changed while trials ran, in a sentence; or ``""``."""
        if self._study is None or self._workplace.told:
            return ""
        names = ", ".join(f"'{name}'" for name in self._workplace.written())
        return f"While trials ran, {names}, too large to copy, was written to." if names else ""

    @property
    def problem(self) -> str:
        """That the trials were interrupted, in a sentence; ``""`` if they were not."""
        if self._study is None or not self._study.interrupted:
            return ""
        runs = f"{self._study.made} run" + ("" if self._study.made == 1 else "s")
        return f"The trials were interrupted after {runs}; remedies are told as far as they came."

    def remedies(self) -> tuple[Remedy, ...]:
        """Make the trials; what was verified comes first."""
        if self._study is None:
            return ()
        return tuple(self._study.remedies())


def _written(one: Candidate, run: Recording, workplace: Workplace) -> Candidate:
    """The same with how it is written in the user's file, and as what trials may run that."""
    facts = run.info.facts
    rates = run.run_values("lr").astype(np.float64)
    where, diff, patch = rewritten(
        one.changes,
        facts.get("made", {}),
        run.info.args,
        rate=next(iter(rates[np.isfinite(rates)]), math.nan),
        optimizers=len(facts.get("optimizers", ())),
    )
    if patch and not workplace.holds(patch.file):
        patch = None
    return replace(one, where=where, diff=diff, patch=patch)
