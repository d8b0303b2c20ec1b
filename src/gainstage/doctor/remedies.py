"""Which remedies are tried, in which order; and a control that no finding suggests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gainstage.doctor.candidates import Candidate, Change
from gainstage.doctor.repertoire import (
    CALIBRATE,
    DISTURBED,
    LEAKY,
    NO_DECAY,
    STANDARDISE,
    clip,
    modules,
    rate,
    reinitialise,
)
from gainstage.doctor.suggestions import SUGGESTIONS
from gainstage.recording import Recording
from gainstage.records import Finding


def candidates(findings: Sequence[Finding], run: Recording, most: int) -> list[Candidate]:
    """The remedies that findings suggest, the likeliest first.

    A main finding's second choice stands beside the next finding's first one. Findings that only
    warn suggest nothing unless there is no error.

    Args:
        findings: ranked.
        run: what they were found on.
        most: how many are wanted.
    """
    return _ranked(findings, run)[:most]


def reserve(findings: Sequence[Finding], run: Recording, most: int) -> list[Candidate]:
    """What is left to try if none of the candidates helps.

    First what the findings suggest beyond those; then what helps most trainings that fail,
    whatever was found. Where the findings suggest nothing, nothing would be proven by it.

    Args:
        findings: ranked.
        run: what they were found on.
        most: how many are wanted, and how many candidates come before them.
    """
    ranked = _ranked(findings, run)
    known = {one.changes for one in (*ranked, *controls(findings, run))}
    redrawn = reinitialise(run)
    slower = rate(0.1, run)
    usual = [slower, redrawn, rate(10.0, run), CALIBRATE, redrawn.joined(slower)]
    usual += [STANDARDISE] if modules(run) else []
    usual += [clip(1.0)]
    others = [one for one in usual if one.changes not in known] if ranked else []
    return [*ranked[most:], *others][:most]


def _ranked(findings: Sequence[Finding], run: Recording) -> list[Candidate]:
    """All that the findings suggest, each change once."""
    grave = [f for f in findings if f.severity == "error"]
    asked = grave or [f for f in findings if f.severity == "warning"]
    ranked: list[tuple[int, int, Candidate]] = []
    for depth, finding in enumerate(asked):
        for choice, one in enumerate(suggested(finding, run)):
            ranked.append((depth + choice, depth, replace(one, codes=(finding.code,))))
    merged: dict[tuple[Change, ...], Candidate] = {}
    for _, _, one in sorted(ranked, key=lambda r: r[:2]):
        known = merged.get(one.changes)
        codes = (*known.codes, *one.codes) if known else one.codes
        merged[one.changes] = replace(known or one, codes=tuple(dict.fromkeys(codes)))
    return [*merged.values()]


def suggested(finding: Finding, run: Recording) -> list[Candidate]:
    """All that one finding suggests; nothing where no change to a running script could help."""
    suggest = SUGGESTIONS.get(finding.code)
    return [] if suggest is None else [*suggest(finding, run)]


def controls(findings: Sequence[Finding], run: Recording) -> tuple[Candidate, ...]:
    """Changes of equal cost that no finding suggests: what anything whatever would do.

    What mends whole families of faults (standardised input, clipping, weights drawn again) is none:
    it may be a cure that the findings have not thought of. The later ones stand in for a first one
    that turns out to change nothing. Without an optimiser of torch's most would: only the weights
    can be disturbed in any training, unless that is the cure.
    """
    symmetric = any(f.code == "symmetric-weights" for f in findings)
    if not run.info.facts.get("optimizers"):
        return (rate(0.5, run) if symmetric else DISTURBED,)
    named = {change.name for f in findings for one in suggested(f, run) for change in one.changes}
    pool = (rate(0.5, run), LEAKY, NO_DECAY)
    free = [one for one in pool if not any(change.name in named for change in one.changes)]
    return (*free, *(() if symmetric and free else (DISTURBED,)))


def yardstick(findings: Sequence[Finding]) -> tuple[Change, ...]:
    """What every run of the trials is measured by, where the script's own loss cannot tell.

    Cross entropy of probabilities never comes near zero, so there the loss of the logits is
    recorded, while the unchanged run is still trained by its own.
    """
    squashed = [f for f in findings if f.code == "softmax-before-cross-entropy"]
    if any(f.evidence.get("loss") != "nll_loss" for f in squashed):
        return (Change.of("remove-softmax", keep_gradient=True),)
    return ()
