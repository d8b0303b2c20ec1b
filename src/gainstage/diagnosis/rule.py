"""What a rule is: a public code, a manual, and a function from evidence to findings."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gainstage.diagnosis.evidence import Evidence
from gainstage.errors import UsageError
from gainstage.records import Finding
from gainstage.registry import Registry

Check: TypeAlias = Callable[[Evidence], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of diagnosis.

    Attributes:
        code: public and stable name of the fault.
        check: the judgement; it returns findings and never raises to signal one.
        may_cause: codes of the faults that this one can bring about.
        manual: the text for people: problem, why, what to do, when harmless, source.
        fallback: its findings count only when no other rule explains the training.
    """

    code: str
    check: Check
    may_cause: tuple[str, ...]
    manual: str
    fallback: bool = False

    @property
    def title(self) -> str:
        """The manual's first line."""
        return self.manual.partition("\n")[0]

    def section(self, name: str) -> str:
        """One section of the manual as a single paragraph.

        Args:
            name: ``"Problem"``, ``"Why"``, ``"What to do"``, ``"Harmless when"`` or ``"Source"``.
        """
        body = self.manual.partition(f"\n{name}:")[2]
        lines = body.partition("\n\n")[0].splitlines()
        return " ".join(line.strip() for line in lines).strip()


SECTIONS: Final = ("Problem", "Why", "What to do", "Harmless when", "Source")

RULES: Final[Registry[Rule]] = Registry("finding", "gainstage.diagnosis.rules")


def rule(
    code: str, *, may_cause: tuple[str, ...] = (), fallback: bool = False
) -> Callable[[Check], Check]:
    """File a function as the rule for `code`; its module's docstring is the manual.

    Args:
        code: public name of the fault.
        may_cause: codes of the faults that this one can bring about.
        fallback: its findings count only when no other rule explains the training.

    Raises:
        UsageError: the manual lacks a section; the message names the file and the section.
    """

    def decorate(check: Check) -> Check:
        manual = inspect.getdoc(sys.modules[check.__module__]) or ""
        for section in SECTIONS:
            if f"\n{section}:" not in manual:
                msg = f"The manual of {code} in {inspect.getfile(check)} lacks a '{section}:'."
                raise UsageError(msg)
        RULES.register(code)(Rule(code, check, may_cause, manual, fallback))
        return check

    return decorate


def confidence(value: float, threshold: float, scale: float) -> float:
    """How sure a rule is: 0.5 on its threshold, 0.88 two scales beyond it, never quite 1.

    Args:
        value: the evidence.
        threshold: where the rule is in two minds.
        scale: the distance that matters; negative if smaller values are worse.

    Example:
        >>> confidence(-60, -60, -10), round(confidence(-80, -60, -10), 2)
        (0.5, 0.88)
    """
    distance = max(-30.0, min(30.0, (value - threshold) / scale))
    return min(0.99, 1.0 / (1.0 + math.exp(-distance)))
