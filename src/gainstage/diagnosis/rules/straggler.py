"""The other ranks wait for one.

Problem: in every step one rank takes longer than the rest before its backward pass begins, and the
others stand still until its gradients come. The training learns as it would, but slower.

Why: its machine is busy or throttled, its data loader has fewer workers or longer samples, or it
alone writes logs and checkpoints in each step.

What to do: look at what this rank does that others do not; sort or bucket samples by length; give
its loader more workers; log and save less often; leave out a machine that stays slow.

Harmless when: the ranks share one machine with other work, and the time does not matter.

Source: Dean and Barroso 2013, "The Tail at Scale"; Li et al. 2020, "PyTorch Distributed".
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

SLOWER = 1.25
"""Times the own work of the faster half of the ranks, in each quarter of the training."""

WAITED = 0.1
"""Share of a step."""


@rule("straggler")
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for what the reader of the ranks' files has noted."""
    for event in evidence.recording.events:
        if event.code != "straggler":
            continue
        data = event.data
        numbers = ("own_seconds", "others_seconds", "waited", "step_seconds")
        if not all(isinstance(data.get(key), float) for key in numbers):
            return
        own, others, waited, step = (float(data[key]) for key in numbers)
        share = waited / step if step > 0 else 0.0
        ranks = data.get("ranks")
        more = len(ranks) - 1 if isinstance(ranks, list) else 0
        yield Finding(
            code="straggler",
            severity="warning",
            confidence=0.9,
            site="",
            since_step=event.step,
            message=(
                f"Rank {data.get('rank')} needs {1e3 * own:.3g} ms by itself before its backward "
                f"pass, where the faster half of the ranks needs {1e3 * others:.3g} ms: of each "
                f"step of {1e3 * step:.3g} ms the others wait {1e3 * waited:.3g} ms for it."
                + (f" {more} more ranks are behind as well." if more else "")
            ),
            evidence={"times_others": own / others if others else 0.0, "share_waited": share},
            threshold={"times_others": SLOWER, "share_waited": WAITED},
        )
        return
