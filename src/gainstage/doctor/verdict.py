"""The machine-readable verdict on a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
import numpy as np

from gainstage.recording import Recording
from gainstage.records import Finding, Remedy

SCHEMA: Final = 1

HEALTHY, FINDINGS, FAILED = 0, 1, 2
"""Exit codes of ``gainstage doctor``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``gainstage doctor --json FILE`` writes.

    Attributes:
        schema: version of this layout.
        script: the script.
        status: how it ended; see :class:`gainstage.records.RunInfo`.
        problem: why the verdict is partial or missing; ``""`` if it is neither.
        run: path of the run file.
        steps: observed training steps.
        healthy: nothing above ``info`` was found, and there was something to judge.
        loss: first and last loss, and the loss expected of knowing nothing.
        overhead: time spent measuring as a share of the rest.
        findings: main one first.
        remedies: fixes that were tried, verified ones first; empty if none was.
    """

    schema: int
    script: str
    status: str
    problem: str
    run: str
    steps: int
    healthy: bool
    loss: dict[str, float | None]
    overhead: float
    findings: tuple[Finding, ...]
    remedies: tuple[dict[str, Any], ...] = ()

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 findings, 2 the script failed or could not be judged."""
        if self.problem:
            return FAILED
        return HEALTHY if self.healthy else FINDINGS

    def to_json(self) -> bytes:
        """The verdict as JSON; a number that is not finite becomes null."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=_plain), indent=2)


def verdict(
    recording: Recording,
    findings: tuple[Finding, ...],
    *,
    run: str = "",
    problem: str = "",
    remedies: Sequence[Remedy] = (),
) -> Verdict:
    """Sum up a recording and its findings.

    Args:
        recording: the run.
        findings: ranked findings.
        run: path of the run file.
        problem: why the verdict is partial or missing.
        remedies: what was tried.
    """
    info = recording.info
    loss = recording.run_values("loss").astype(np.float64)
    known = loss[~np.isnan(loss)]
    chance = recording.run_values("chance_loss").astype(np.float64)
    chance = chance[np.isfinite(chance)]
    steps = len(recording.steps)
    return Verdict(
        schema=SCHEMA,
        script=info.script,
        status=info.status,
        problem=problem,
        run=run,
        steps=steps,
        healthy=steps > 0 and all(f.severity == "info" for f in findings),
        loss={
            "first": _number(known[0]) if len(known) else None,
            "last": _number(known[-1]) if len(known) else None,
            "expected_initial": _number(chance[-1]) if len(chance) else None,
        },
        overhead=round(info.overhead, 4),
        findings=findings,
        remedies=tuple(map(_spelled, remedies)),
    )


def _spelled(remedy: Remedy) -> dict[str, Any]:
    """A remedy under the public names; ``for`` is none that python would have."""
    told = asdict(remedy)
    told.pop("curves")  # kept in the run file
    return {"name": told.pop("name"), "for": told.pop("codes"), **told}


def _plain(value: Any) -> Any:
    """What a rule put into its evidence, for JSON: numpy's numbers and arrays as Python's."""
    tolist = getattr(value, "tolist", None)
    return str(value) if tolist is None else tolist()


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
