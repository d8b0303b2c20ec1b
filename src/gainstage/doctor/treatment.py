"""From findings to tried remedies: what to try, what it will cost, and how to write what helped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import joblib

from gainstage.doctor.candidates import Candidate
from gainstage.doctor.child import Observation
from gainstage.doctor.laboratory import Laboratory, outcome_of
from gainstage.doctor.remedies import candidates, control, yardstick
from gainstage.doctor.rewrite import rewritten
from gainstage.doctor.trials import Plan, Study
from gainstage.records import Finding, Remedy
from gainstage.store import rank_in

_ENDED: Final = frozenset({"finished", "stopped", "failed"})
_MOST_JOBS: Final = 4


class Treatment:
    """The trials of one script.

    Args:
        seen: the script as it was observed.
        findings: what is wrong with it.
        target: path of the script, or name of a module.
        args: its own arguments.
        module: run a module, as ``python -m`` does.
        most: remedies to try at most.
        seeds: how many seeds.
        jobs: runs at a time; None for one a processor, up to four.
    """

    def __init__(  # noqa: PLR0913 - one argument a choice of the user's
        self,
        seen: Observation,
        findings: Sequence[Finding],
        target: str,
        args: Sequence[str] = (),
        *,
        module: bool = False,
        most: int = 3,
        seeds: int = 2,
        jobs: int | None = None,
    ) -> None:
        self._seen = seen
        self._module = module
        self._target = target
        run = seen.recording
        chosen: list[Candidate] = []
        if run is not None and seen.trained and run.info.status in _ENDED:
            observed = outcome_of(run)
            grave = any(finding.severity == "error" for finding in findings)
            learnt = observed.progress is not None and observed.progress.good
            chosen = candidates(findings, run, most) if grave or not learnt else []
        if not chosen or run is None or rank_in(os.environ):
            self._study = None
            return
        measure = yardstick(findings)
        self._made: dict[Candidate, Candidate] = {}
        self._plan = Plan(
            tuple(chosen),
            control(findings, run),
            seeds,
            None if measure else observed,
            measure,
        )
        self._jobs = jobs or max(1, min(joblib.cpu_count(), _MOST_JOBS))
        laboratory = Laboratory(
            target, tuple(args), module, len(run.steps), seen.seconds, self._jobs
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
        return (
            f"Trying {len(self._plan.candidates)}: {names}. Up to {runs} runs of the script, "
            f"{self._jobs} at a time, take about {time} s (--no-trial: "
            "none). Each repeats all that the script does, such as the files that it writes."
        )

    def remedies(self) -> tuple[Remedy, ...]:
        """Make the trials; what was verified comes first, each with how to write it."""
        if self._study is None:
            return ()
        by_name = {one.name: one for one in self._plan.candidates}
        return tuple(self._written(r, by_name[r.name]) for r in self._study.remedies())

    def _written(self, remedy: Remedy, one: Candidate) -> Remedy:
        run = self._seen.recording
        made = run.info.facts.get("made", {}) if run is not None else {}
        where, diff = rewritten(one.changes, made)
        return replace(remedy, where=where, diff=diff)
