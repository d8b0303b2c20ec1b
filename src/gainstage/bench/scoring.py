"""How right verdicts are: what a judge said of scripts of which the fault is known.

Nothing here runs anything, so that a score can be checked by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

HEALTHY: Final = "healthy"
"""What stands for the verdict without findings in a confusion table."""


@dataclass(frozen=True, slots=True)
class Case:
    """A script and what was said of it.

    Attributes:
        script: its name.
        codes: the fault that was planted (its names, if it has several); empty for a healthy one.
        also_ok: other names that a fair judge accepts as the main finding.
        errors: codes of the findings called errors.
        told: codes of all findings, main one first; without those that are only ``info``.
        seconds: how long the judge took, the script's own time included.
        verified: whether a remedy was verified; None if none was looked for, or its fault has none.
        patched: whether a verified remedy's diff applies and helps; None if there is none.
        problem: why there is no full verdict; ``""`` if there is.
    """

    script: str
    codes: tuple[str, ...]
    also_ok: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    seconds: float = 0.0
    verified: bool | None = None
    patched: bool | None = None
    problem: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with the script."""
        return not self.codes

    def right(self, first: int | None = None) -> bool:
        """Whether an accepted code is among the `first` findings; among all by default."""
        return bool({*self.codes, *self.also_ok} & set(self.told[:first]))


@dataclass(frozen=True, slots=True)
class Score:
    """A judge's score.

    Attributes:
        sick: number of scripts with a fault.
        healthy: number of scripts without.
        main: sick ones of which the main finding is right.
        top_two: sick ones with a right finding among the first two.
        anywhere: sick ones with a right finding anywhere in the list.
        false_errors: errors on healthy ones.
        false_warnings: warnings on healthy ones.
        alarmed: healthy ones with any error or warning.
        seconds: median time of a verdict.
        searched: sick ones whose fault has a remedy, where remedies were looked for.
        verified: those of them with a verified one.
        diffs: those with a verified one that is written as a diff.
        patched: those of them of which the patched script learns.
        unjudged: scripts without a full verdict; a script that fails by its fault is one.
    """

    sick: int
    healthy: int
    main: int
    top_two: int
    anywhere: int
    false_errors: int
    false_warnings: int
    alarmed: int
    seconds: float
    searched: int
    verified: int
    diffs: int
    patched: int
    unjudged: int


def score(cases: Sequence[Case]) -> Score:
    """Count what was right and what was a false alarm.

    Example:
        >>> sick = Case("a.py", ("dead-units",), told=("non-finite", "dead-units"))
        >>> s = score([sick, Case("b.py", ())])
        >>> s.sick, s.healthy, s.main, s.top_two, s.alarmed
        (1, 1, 0, 1, 0)
    """
    sick = [case for case in cases if not case.healthy]
    well = [case for case in cases if case.healthy]
    searched = [case for case in sick if case.verified is not None]
    errors = sum(len(case.errors) for case in well)
    return Score(
        sick=len(sick),
        healthy=len(well),
        main=sum(case.right(1) for case in sick),
        top_two=sum(case.right(2) for case in sick),
        anywhere=sum(case.right() for case in sick),
        false_errors=errors,
        false_warnings=sum(len(case.told) for case in well) - errors,
        alarmed=sum(bool(case.told) for case in well),
        seconds=float(np.median([case.seconds for case in cases])) if cases else 0.0,
        searched=len(searched),
        verified=sum(bool(case.verified) for case in searched),
        diffs=sum(case.patched is not None for case in sick),
        patched=sum(bool(case.patched) for case in sick),
        unjudged=sum(bool(case.problem) for case in cases),
    )


def confusion(cases: Sequence[Case]) -> list[tuple[str, str, int]]:
    """How often which fault was called what: (planted, main finding, times), by name.

    A main finding that is accepted under another name counts as the planted one.

    Example:
        >>> confusion([Case("a.py", ("dead-units",)), Case("b.py", (), told=("non-finite",))])
        [('dead-units', 'healthy', 1), ('healthy', 'non-finite', 1)]
    """
    return sorted((*pair, times) for pair, times in Counter(map(_pair, cases)).items())


def _pair(case: Case) -> tuple[str, str]:
    planted = case.codes[0] if case.codes else HEALTHY
    called = case.told[0] if case.told else HEALTHY
    return planted, planted if case.right(1) else called
