"""The findings as plain data: a cause stands above its symptoms, which are indented under it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gainstage.recording import Recording
from gainstage.records import Finding
from gainstage.views.view import number, view

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class Card:
    """One finding, ready to show.

    Attributes:
        rank: 1 for the main finding.
        code: public, stable name of the fault.
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        confidence: between 0 and 1; None if it is not a number.
        site: where it is clearest.
        since_step: first step at which it held.
        message: one sentence with the numbers.
        evidence: the numbers, by name; what is not finite is spelled ``"NaN"`` or ``"-Inf"``.
        threshold: what they were held against, by name.
        because: codes of the findings that explain this one.
        manual: what the rule's manual says; ``""`` if the caller has none.
        depth: 0 for a cause, 1 for its consequence, and so on.
        under: position in the list of the card that this one belongs to; None for a cause.
    """

    rank: int
    code: str
    severity: str
    confidence: float | None
    site: str
    since_step: int
    message: str
    evidence: dict[str, Plain]
    threshold: dict[str, Plain]
    because: tuple[str, ...]
    manual: str
    depth: int
    under: int | None


@dataclass(frozen=True, slots=True)
class FindingCards:
    """All findings, each followed by its consequences.

    Attributes:
        healthy: nothing was found that hurts or may hurt.
        cards: in the order in which they are read.
    """

    healthy: bool
    cards: tuple[Card, ...]


@view("findings")
def finding_cards(
    recording: Recording,
    findings: Sequence[Finding] | None = None,
    manuals: Mapping[str, str] | None = None,
) -> FindingCards:
    """The findings of a run, causes above their symptoms.

    Args:
        recording: the run.
        findings: what the rules found; None for what is stored with the run.
        manuals: a rule's manual by its code.

    Example:
        >>> from gainstage.recording import MemoryRecording
        >>> symptom = Finding("dead-units", "error", 0.9, "a", 3, "", because=("rate",), rank=1)
        >>> cause = Finding("rate", "error", 0.9, "", 0, "", rank=2)
        >>> cards = finding_cards(MemoryRecording([], {}), [symptom, cause]).cards
        >>> [(card.code, card.depth) for card in cards]
        [('rate', 0), ('dead-units', 1)]
    """
    found = sorted(recording.findings if findings is None else findings, key=lambda f: f.rank)
    causes = _causes(found)
    texts = manuals or {}
    cards: list[Card] = []
    pending: list[tuple[int, int, int | None]] = [
        (i, 0, None) for i in reversed(range(len(found))) if causes[i] is None
    ]
    while pending:
        index, depth, under = pending.pop()
        here = len(cards)
        cards.append(_card(found[index], texts.get(found[index].code, ""), depth, under))
        below = [i for i in reversed(range(len(found))) if causes[i] == index]
        pending.extend((i, depth + 1, here) for i in below)
    healthy = all(finding.severity == "info" for finding in found)
    return FindingCards(healthy, tuple(cards))


def _causes(found: list[Finding]) -> list[int | None]:
    """For each finding the position of the one that explains it; circles are cut."""
    causes: list[int | None] = [None] * len(found)
    for i, finding in enumerate(found):
        explaining = [j for j, other in enumerate(found) if other.code in finding.because]
        causes[i] = next((j for j in explaining if not _leads_to(causes, j, i)), None)
    return causes


def _leads_to(causes: list[int | None], start: int, goal: int) -> bool:
    at: int | None = start
    while at is not None and at != goal:
        at = causes[at]
    return at == goal


def _card(finding: Finding, manual: str, depth: int, under: int | None) -> Card:
    return Card(
        rank=finding.rank,
        code=finding.code,
        severity=finding.severity,
        confidence=number(finding.confidence),
        site=finding.site,
        since_step=int(finding.since_step),
        message=finding.message,
        evidence={str(key): _plain(value) for key, value in finding.evidence.items()},
        threshold={str(key): _plain(value) for key, value in finding.threshold.items()},
        because=tuple(finding.because),
        manual=manual,
        depth=depth,
        under=under,
    )


def _plain(value: Any) -> Plain:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
