"""Runs all rules and puts causes above their symptoms."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import RULES, Rule
from gainstage.recording import Recording
from gainstage.records import Finding

SURE: Final = 0.6
"""A finding with less confidence is a warning, whatever its rule calls it."""

OUTWEIGHED: Final = 0.7
"""A cause must have at least this share of its effect's confidence: one that is in two minds about
itself does not explain away what is plain."""

_WEIGHT: Final = {"error": 2.0, "warning": 1.0, "info": 0.0}


def diagnose(recording: Recording, codes: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """Findings on a recorded training, the main one first.

    A finding that another one explains is placed after it and names it in ``because``: a rule
    declares which faults its own can bring about, and a cause cannot start after its effect.

    Args:
        recording: the run, live or finished.
        codes: rules to apply; all by default.

    Returns:
        Findings ranked from 1; empty for a healthy training.
    """
    evidence = Evidence(recording)
    rules = [RULES[code] for code in (RULES if codes is None else codes)]
    if not len(recording.steps):
        return ()
    found = [f for rule in rules if not rule.fallback for f in _checked(rule, evidence)]
    if not found:
        found = [f for rule in rules if rule.fallback for f in _checked(rule, evidence)]
    told = [_say_sampled(finding, recording) for finding in found]
    return rank(told, {rule.code: rule for rule in rules})


def _checked(rule: Rule, evidence: Evidence) -> list[Finding]:
    """What a rule finds; one that fails does not take the verdict of the others with it."""
    try:
        return list(rule.check(evidence))
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told
        msg = f"The rule {rule.code} failed ({error!r}) and says nothing; please report it."
        warnings.warn(msg, RuntimeWarning, stacklevel=3)
        return []


def rank(found: list[Finding], rules: dict[str, Rule]) -> tuple[Finding, ...]:
    """Order findings, causes before symptoms and each by its weight, and number them from 1."""
    settled = [replace(f, severity="warning") if _unsure(f) else f for f in found]
    explained = _explained(settled, rules)
    ordered = sorted(explained, key=lambda f: (bool(f.because), -_weight(f)))
    return tuple(replace(f, rank=i) for i, f in enumerate(ordered, start=1))


def _say_sampled(finding: Finding, recording: Recording) -> Finding:
    """Put beside the numbers how far they may be off, if they rest on samples."""
    if recording.info.detail != "sampled":
        return finding
    sites = [site for site in recording.sites if finding.site in {site.name, site.layer}]
    errors = [recording.values(s, "rms_error") for s in sites if s.kind != "run"]
    known = np.concatenate(errors) if errors else np.zeros(0)
    known = known[np.isfinite(known)]
    evidence = {**finding.evidence, "sampled": True}
    if known.size:
        evidence["relative_error_of_rms"] = round(float(np.median(known)), 4)
    return replace(finding, evidence=evidence)


def _explained(found: list[Finding], rules: dict[str, Rule]) -> list[Finding]:
    """Each with what it is because of; nothing is the cause of its own cause."""
    causes: dict[str, tuple[str, ...]] = {}

    def behind(code: str) -> set[str]:
        direct = causes.get(code, ())
        return {*direct}.union(*map(behind, direct))

    for finding in sorted(found, key=_precedence):
        wanted = _because(finding, found, rules)
        allowed = [code for code in wanted if finding.code not in behind(code)]
        causes[finding.code] = tuple(dict.fromkeys((*causes.get(finding.code, ()), *allowed)))
    return [replace(f, because=causes[f.code]) for f in found]


def _because(effect: Finding, found: list[Finding], rules: dict[str, Rule]) -> tuple[str, ...]:
    causes = [
        cause
        for cause in found
        if cause.code != effect.code
        and effect.code in rules[cause.code].may_cause
        and cause.since_step <= effect.since_step
        and cause.confidence >= OUTWEIGHED * effect.confidence
        and cause.severity == "error"
        and not (
            cause.code in rules[effect.code].may_cause and _precedence(effect) < _precedence(cause)
        )
    ]
    return tuple(c.code for c in sorted(causes, key=_weight, reverse=True))


def _weight(finding: Finding) -> float:
    return _WEIGHT[finding.severity] + finding.confidence


def _unsure(finding: Finding) -> bool:
    return finding.severity == "error" and finding.confidence < SURE


def _precedence(finding: Finding) -> tuple[int, float]:
    """Of two findings that may cause each other, the earlier, then the surer, is the cause."""
    return finding.since_step, -_weight(finding)
