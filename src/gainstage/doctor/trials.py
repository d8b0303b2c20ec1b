"""Tries remedies against the unchanged script and a control, and says which are proven.

First each remedy runs with the script's own seed; then the best of them, with the unchanged
script and the control, with the other seeds, until one is verified. The first observation of the
script serves as its unchanged run, so that nothing is run twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gainstage.doctor.candidates import Candidate, Change
from gainstage.doctor.laboratory import Laboratory, Trial
from gainstage.doctor.proof import Outcome, promising, proven, score
from gainstage.records import Remedy

NEARLY: Final = 0.8
"""Of two remedies the findings' first choice goes first if it gains that share of the best gain."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried.

    Attributes:
        candidates: likeliest first.
        control: a change that the findings do not suggest.
        seeds: how many, the script's own included.
        observed: what came of the unchanged run with the script's own seed; None to run it again.
        yardstick: changes that only measure, for all runs.
    """

    candidates: tuple[Candidate, ...]
    control: Candidate
    seeds: int
    observed: Outcome | None
    yardstick: tuple[Change, ...] = ()

    @property
    def runs(self) -> tuple[int, int]:
        """Fewest and most runs of the script that this takes, if any remedy is promising."""
        again = 0 if self.observed else 1
        first = len(self.candidates) + again
        rest = (self.seeds - 1) + self.seeds
        return first + rest + (self.seeds - 1), first + rest + (self.seeds - 1) * len(
            self.candidates
        )

    def changes(self, one: Candidate | None) -> tuple[Change, ...]:
        """What a run is changed by; a remedy that is the yardstick itself needs none beside it."""
        changes = one.changes if one else ()
        names = {change.name for change in changes}
        return (*(y for y in self.yardstick if y.name not in names), *changes)


class Study:
    """The runs of a plan, each made once.

    Args:
        plan: what is tried.
        laboratory: where.
    """

    def __init__(self, plan: Plan, laboratory: Laboratory) -> None:
        self._plan = plan
        self._laboratory = laboratory
        self._known: dict[Trial, Outcome] = {}
        if plan.observed is not None:
            self._known[Trial(plan.changes(None), 0)] = plan.observed

    def remedies(self) -> list[Remedy]:
        """Try all; a verified one comes first, then by what they gained."""
        plan = self._plan
        self._run([(one, 0) for one in (None, *plan.candidates)])
        hopeful = self._hopeful()
        tried: list[Candidate] = []
        for one in hopeful:
            later = [(who, seed) for who in (one, None) for seed in range(1, plan.seeds)]
            self._run([*later, *((plan.control, seed) for seed in range(plan.seeds))])
            tried.append(one)
            if self._proven(one):
                break
        rest = [one for one in plan.candidates if one not in tried]
        found = [self._remedy(one) for one in (*tried, *rest)]
        return sorted(found, key=lambda r: (not r.verified, -min(r.score_after, default=0.0)))

    def _run(self, wanted: Sequence[tuple[Candidate | None, int]]) -> None:
        trials = [Trial(self._plan.changes(one), seed) for one, seed in wanted]
        new = [trial for trial in dict.fromkeys(trials) if trial not in self._known]
        self._known.update(zip(new, self._laboratory.run(new), strict=True))

    def _outcomes(self, one: Candidate | None) -> list[Outcome]:
        trials = [Trial(self._plan.changes(one), seed) for seed in range(self._plan.seeds)]
        return [self._known[trial] for trial in trials if trial in self._known]

    def _scores(self, one: Candidate | None) -> list[float]:
        pairs = zip(self._outcomes(one), self._outcomes(None), strict=False)
        return [score(outcome, unchanged) for outcome, unchanged in pairs]

    def _hopeful(self) -> list[Candidate]:
        base = self._scores(None)[0]
        gains = {one: self._scores(one)[0] - base for one in self._plan.candidates}
        hopeful = [one for one in self._plan.candidates if promising(gains[one] + base, base)]
        best = max(gains.values(), default=0.0)
        return sorted(
            hopeful, key=lambda one: 0.0 if gains[one] >= NEARLY * best else -gains[one] + 2
        )

    def _proven(self, one: Candidate) -> bool:
        return proven(self._scores(one), self._scores(None), self._scores(self._plan.control))

    def _remedy(self, one: Candidate) -> Remedy:
        outcomes = self._outcomes(one)
        verified = self._proven(one)
        return Remedy(
            name=one.name,
            codes=one.codes,
            change=one.advice,
            loss_before=tuple(o.loss for o in self._outcomes(None)),
            loss_after=tuple(o.loss for o in outcomes),
            control=tuple(o.loss for o in self._outcomes(self._plan.control)),
            control_name=self._plan.control.name,
            score_before=tuple(self._scores(None)),
            score_after=tuple(self._scores(one)),
            score_control=tuple(self._scores(self._plan.control)),
            seeds=len(outcomes),
            verified=verified,
            told=self._told(one, verified),
        )

    def _told(self, one: Candidate, verified: bool) -> str:
        if verified:
            return "Better than unchanged and than the control, beyond the spread of the seeds."
        broken = next((o.told for o in self._outcomes(one) if o.told), "")
        if broken:
            return f"It did not get through: {broken}."
        after, before = self._scores(one), self._scores(None)
        if len(after) > 1:
            return "Not better than unchanged and than the control by more than the seeds' spread."
        if promising(after[0], before[0]):
            return "Better with one seed; not tried with others, for another one is verified."
        return "No better than unchanged with the script's own seed, so no other was tried."
