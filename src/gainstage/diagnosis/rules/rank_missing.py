"""A rank of the training died, or never wrote.

Problem: the training has several ranks, and from some step on at least one of them is missing: its
file ends before the others', cannot be read, or is not there.

Why: its process was killed (out of memory, a lost machine, a time limit) or raised. The others wait
for it in their next collective until their time is out; what they measured until then is kept, and
from there on every sum over ranks lacks a part.

What to do: read the log of that rank and of its machine, first for a lack of memory; the last steps
of this run say whether its numbers were sound. Start again from the last checkpoint.

Harmless when: the training was ended while one rank was a few steps behind.

Source: documentation of torchrun (elastic launch): one rank that fails ends its group.
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

BEHIND = 0
"""Steps that a rank may be short of the others once the run has ended."""


@rule("rank-missing", may_cause=("loss-not-decreasing",))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for what the reader of the ranks' files has noted."""
    found = [e for e in evidence.recording.events if e.code == "rank-missing"]
    if not found:
        return
    first = min(found, key=lambda event: event.step)
    ranks = sorted({int(e.data["rank"]) for e in found if isinstance(e.data.get("rank"), int)})
    names = ", ".join(map(str, ranks[:6])) + (f" and {len(ranks) - 6} more" if ranks[6:] else "")
    last = int(evidence.recording.steps[-1]) if len(evidence.recording.steps) else 0
    reason = str(first.data.get("reason") or "")
    yield Finding(
        code="rank-missing",
        severity="warning" if evidence.progress.good else "error",
        confidence=0.95,
        site="",
        since_step=first.step,
        message=(
            f"Of the training's ranks {names} is missing from step {first.step} on; the others "
            f"reached step {last}." + (f" {reason}" if reason else "")
        ),
        evidence={
            "ranks_missing": len(ranks),
            "world": evidence.recording.info.world,
            "steps_short": max(last + 1 - first.step, 0),
        },
        threshold={"steps_short": BEHIND},
    )
