"""Tries remedies against the unchanged script and a control, and says which are proven.

First each remedy runs with the script's own seed; then the best of them, with the unchanged
script and the control, with the other seeds, until one is verified. If none is, the same is done
with a reserve of others. The first observation of the script serves as its unchanged run, so that
nothing is run twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gainstage.doctor.candidates import Candidate, Change
from gainstage.doctor.laboratory import Laboratory, Trial
from gainstage.doctor.proof import MARGIN, Outcome, as_good, promising, proven, score
from gainstage.records import Curve, Remedy

NEARLY: Final = 0.8
"""Of remedies that gain that share of the best gain, those go first that can be written as a diff;
then the findings' first choice."""

HELPFUL: Final = 0.4 * MARGIN
"""Gain with the script's own seed from which a remedy that is not verified is joined to another."""

_IDLE: Final = (
    "The control changed nothing in this training, so the unchanged runs alone stand against it."
)
_NOT_RUN: Final = "Its diff was not run as it is written."
_DROPPED: Final = (
    "Written as a diff and run, it did not do the same; so there is none, and the advice stands."
)


def _as_it_is(one: Candidate) -> Candidate:
    return one


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried.

    Attributes:
        candidates: likeliest first.
        controls: changes that the findings do not suggest; the first that changes anything counts.
        seeds: how many, the script's own included.
        observed: what came of the unchanged run with the script's own seed; None to run it again.
        yardstick: changes that only measure, for all runs.
        reserve: what is tried if none of the candidates is verified.
        write: finds how two that are tried at once are written.
    """

    candidates: tuple[Candidate, ...]
    controls: tuple[Candidate, ...]
    seeds: int
    observed: Outcome | None
    yardstick: tuple[Change, ...] = ()
    reserve: tuple[Candidate, ...] = ()
    write: Callable[[Candidate], Candidate] = _as_it_is

    @property
    def runs(self) -> tuple[int, int]:
        """Fewest and most runs of the script that this takes, if any candidate is verified."""
        first = len(self.candidates) + (self.observed is None)
        shared = (self.seeds - 1) + self.seeds
        others = self.seeds - 1
        few, most = first + shared + others, first + shared + others * len(self.candidates)
        return few + all(one.patch for one in self.candidates), most + self.checks

    @property
    def checks(self) -> bool:
        """Whether a diff may be run as it is written."""
        return any(one.patch for one in self.candidates)

    @property
    def reserve_runs(self) -> int:
        """Most runs that the reserve takes after them, and two of all that are tried at once."""
        joined = self.seeds * (len(self.candidates) + len(self.reserve) > 1)
        checks = any(one.patch for one in (*self.candidates, *self.reserve))
        return self.seeds * len(self.reserve) + joined + checks

    def changes(self, one: Candidate | None) -> tuple[Change, ...]:
        """What a run is changed by; a remedy that is the yardstick itself needs none beside it."""
        changes = one.changes if one else ()
        names = {change.name for change in changes}
        return (*(y for y in self.yardstick if y.name not in names), *changes)

    def written(self, one: Candidate) -> Trial:
        """The run of the script as a remedy's diff writes it, measured as the others are."""
        names = {change.name for change in one.changes}
        return Trial(tuple(y for y in self.yardstick if y.name not in names), 0, one.patch)


class Study:
    """The runs of a plan, each made once.

    Args:
        plan: what is tried.
        laboratory: where.
    """

    def __init__(self, plan: Plan, laboratory: Laboratory) -> None:
        self._plan = plan
        self._laboratory = laboratory
        self._control = plan.controls[0]
        self._known: dict[Trial, Outcome] = {}
        if plan.observed is not None:
            self._known[Trial(plan.changes(None), 0)] = plan.observed

    @property
    def interrupted(self) -> bool:
        """Whether the user has ended the trials before they were done."""
        return self._laboratory.interrupted

    @property
    def made(self) -> int:
        """How many runs there have been, without those that were ended."""
        return len(self._known) - (self._plan.observed is not None)

    def remedies(self) -> list[Remedy]:
        """Try all; a verified one comes first, then by what they gained.

        After an interrupt, those of which there is a run.
        """
        tried: list[Candidate] = []
        rest: list[Candidate] = []
        for turn in range(3):
            plan = self._plan.candidates, self._plan.reserve
            some = plan[turn] if turn < len(plan) else self._joined([*tried, *rest])
            self._run([(one, 0) for one in (None, *some)])
            run = [one for one in some if self._outcomes(one) and self._outcomes(None)]
            confirmed = self._confirm(run)
            tried += confirmed
            rest += [one for one in run if one not in confirmed]
            if self.interrupted or any(map(self._proven, confirmed)):
                break
        self._run_diffs([one for one in tried if one.patch and self._proven(one)])
        found = [self._remedy(one) for one in (*tried, *rest)]
        return sorted(found, key=lambda r: (not r.verified, -min(r.score_after, default=0.0)))

    def _joined(self, known: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The two at once that helped most of those that touch different things."""
        base = self._scores(None)[:1]
        gains = {one: self._scores(one)[0] - base[0] for one in known if base and not one.caveat}
        helped = [one for one, gain in sorted(gains.items(), key=lambda g: -g[1]) if gain > HELPFUL]
        made = {frozenset(one.changes) for one in known}
        for first, second in itertools.combinations(helped, 2):
            apart = not {c.name for c in first.changes} & {c.name for c in second.changes}
            if apart and frozenset((*first.changes, *second.changes)) not in made:
                return (self._plan.write(first.joined(second)),)
        return ()

    def _confirm(self, run: Sequence[Candidate]) -> list[Candidate]:
        """Run the hopeful ones with the other seeds, until one is verified; those that were."""
        seeds = range(self._plan.seeds)
        tried: list[Candidate] = []
        for one in self._hopeful(run):
            later = [(who, seed) for who in (one, None) for seed in seeds[1:]]
            self._run([*later, *((self._control, seed) for seed in seeds)])
            self._see_to_control()
            tried.append(one)
            if self._proven(one) or self.interrupted:
                break
        return tried

    def _see_to_control(self) -> None:
        """Go on to the next control where the present one has changed nothing at all.

        Halving the gradients is nothing to an optimiser of the script's own that divides by them.
        """
        last = self._plan.controls[-1]
        while self._control is not last and not self.interrupted and self._idle():
            self._control = self._plan.controls[self._plan.controls.index(self._control) + 1]
            self._run([(self._control, seed) for seed in range(self._plan.seeds)])

    def _idle(self) -> bool:
        """Whether the control's losses are the unchanged script's, at each seed but its own.

        The observed run, which is the first seed's, may be another by the rounding of its threads.
        """
        control, unchanged = (self._outcomes(one)[1:] for one in (self._control, None))
        return [o.curve for o in control] == [o.curve for o in unchanged]

    def _run(self, wanted: Sequence[tuple[Candidate | None, int]]) -> None:
        trials = [Trial(self._plan.changes(one), seed) for one, seed in wanted]
        new = [trial for trial in dict.fromkeys(trials) if trial not in self._known]
        outcomes = zip(new, self._laboratory.run(new), strict=True)
        self._known.update({t: outcome for t, outcome in outcomes if outcome is not None})

    def _run_diffs(self, verified: Sequence[Candidate]) -> None:
        """Run the script as a verified remedy's diff writes it, with its own seed."""
        trials = [self._plan.written(one) for one in verified]
        outcomes = zip(trials, self._laboratory.run(trials), strict=True)
        self._known.update({t: outcome for t, outcome in outcomes if outcome is not None})

    def _diff(self, one: Candidate) -> tuple[str, str]:
        """The diff of a verified remedy, unless its run did not do the same; what is said of it."""
        outcome = self._known.get(self._plan.written(one)) if one.patch else None
        if not one.diff:
            return "", ""
        if outcome is None:
            return one.diff, _NOT_RUN
        written = score(outcome, self._outcomes(None)[0])
        others = self._scores(None), self._scores(self._control)
        return (one.diff, "") if as_good(written, self._scores(one), *others) else ("", _DROPPED)

    def _outcomes(self, one: Candidate | None) -> list[Outcome]:
        """Of the first seeds, as far as there are runs."""
        trials = [Trial(self._plan.changes(one), seed) for seed in range(self._plan.seeds)]
        return [self._known[t] for t in itertools.takewhile(self._known.__contains__, trials)]

    def _scores(self, one: Candidate | None) -> list[float]:
        pairs = zip(self._outcomes(one), self._outcomes(None), strict=False)
        return [score(outcome, unchanged) for outcome, unchanged in pairs]

    def _hopeful(self, run: Sequence[Candidate]) -> list[Candidate]:
        if not run or self.interrupted:
            return []
        base = self._scores(None)[0]
        gains = {one: self._scores(one)[0] - base for one in run}
        hopeful = [one for one in run if promising(gains[one] + base, base)]
        best = max(gains.values(), default=0.0)

        def order(one: Candidate) -> tuple[bool, float, bool]:
            near = gains[one] >= NEARLY * best
            return bool(one.caveat), 0.0 if near else -gains[one] + 2, not one.diff

        return sorted(hopeful, key=order)

    def _proven(self, one: Candidate) -> bool:
        return proven(self._scores(one), self._scores(None), self._scores(self._control))

    def _remedy(self, one: Candidate) -> Remedy:
        outcomes = self._outcomes(one)
        verified = self._proven(one)
        diff, ran = self._diff(one) if verified else (one.diff, "")
        return Remedy(
            name=one.name,
            codes=one.codes,
            change=one.advice,
            where=one.where,
            diff=diff,
            loss_before=tuple(o.loss for o in self._outcomes(None)),
            loss_after=tuple(o.loss for o in outcomes),
            control=tuple(o.loss for o in self._outcomes(self._control)),
            control_name=self._control.name,
            score_before=tuple(self._scores(None)),
            score_after=tuple(self._scores(one)),
            score_control=tuple(self._scores(self._control)),
            seeds=len(outcomes),
            verified=verified,
            told=" ".join(filter(None, (self._told(one, verified), ran))),
            curves=(
                *_curves("unchanged", self._outcomes(None)),
                *_curves("remedy", outcomes),
                *_curves("control", self._outcomes(self._control)),
            ),
        )

    def _told(self, one: Candidate, verified: bool) -> str:
        if verified:
            better = "Better than unchanged and than the control, beyond the spread of the seeds."
            return " ".join(filter(None, (better, one.caveat, _IDLE if self._idle() else "")))
        broken = next((o.told for o in self._outcomes(one) if o.told), "")
        if broken:
            return f"It did not get through: {broken}."
        after, before = self._scores(one), self._scores(None)
        seeds = (len(after), len(before), len(self._scores(self._control)))
        hopeful = promising(after[0], before[0])
        if hopeful and self.interrupted and min(seeds) < self._plan.seeds:
            return "Better with the script's own seed; interrupted before all others were run."
        if len(after) > 1:
            return "Not better than unchanged and than the control by more than the seeds' spread."
        if hopeful:
            return "Better with one seed; not tried with others, for another one is verified."
        learnt = f"{before[0]:.0%} -> {after[0]:.0%}".replace("%", " %")
        return (
            f"Not enough better than unchanged with the script's own seed (learnt {learnt}), so no "
            "other was tried."
        )


def _curves(
    run: Literal["unchanged", "remedy", "control"], outcomes: Sequence[Outcome]
) -> Iterator[Curve]:
    for seed, outcome in enumerate(outcomes):
        steps, losses = zip(*outcome.curve, strict=True) if outcome.curve else ((), ())
        yield Curve(run, seed, steps, tuple(x if math.isfinite(x) else None for x in losses))
