"""What an audit finds to be wrong with weights, in the records of the diagnosis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch

from gainstage.init.laws import look
from gainstage.init.layers import Weight
from gainstage.records import Finding
from gainstage.theory.results import Audited

FACTOR: Final = 2.0
"""Size over that of the nearest scheme that suits the layer, or the reverse, that is a finding."""


def faults(rows: Sequence[Audited]) -> Iterator[Finding]:
    """Weights that are not finite, all alike, or far from every scheme that suits them."""
    for row in rows:
        if not math.isfinite(row.rms):
            yield Finding(
                "non-finite",
                "error",
                1.0,
                row.name,
                0,
                f"{row.name} holds values that are not finite; draw it anew, or load it again.",
                {"rms": row.rms},
            )
        elif row.symmetric:
            yield Finding(
                "symmetric-weights",
                "error",
                0.99,
                row.name,
                0,
                f"All units of {row.name} are alike, and will stay so: draw them at random.",
                {"rms": row.rms},
            )
        elif row.role == "weight" and not row.fits and row.factor == row.factor:
            off = max(row.factor, 1 / row.factor) if row.factor > 0 else math.inf
            count = math.prod(row.shape)
            if off < FACTOR * math.exp(4 / math.sqrt(2 * count)):
                continue
            way = "larger" if row.factor > 1 else "smaller"
            yield Finding(
                "poor-initialization",
                "warning",
                0.9,
                row.name,
                0,
                f"{row.name} is {off:.1f} times {way} than the nearest scheme for its shape "
                f"(rms {row.rms:.3g} against {row.nearest:.3g}).",
                {"rms": row.rms, "rms_of_nearest_scheme": row.nearest, "factor": off},
                {"factor": FACTOR},
            )


def copies(weights: Sequence[Weight]) -> Iterator[Finding]:
    """Weights that are copies of another: deep copies of a layer start alike."""
    first: dict[tuple[Any, ...], Weight] = {}
    found: dict[str, list[str]] = {}
    for weight in weights:
        values = weight.parameter.detach()
        if weight.role != "weight" or look(values).law in {None, "constant", "identity"}:
            continue
        key = (tuple(values.shape), float(values.double().sum()), float(values.double().norm()))
        known = first.setdefault(key, weight)
        if known is not weight and torch.equal(known.parameter, weight.parameter):
            found.setdefault(known.name, []).append(weight.name)
    if found:
        name, others = next(iter(found.items()))
        count = sum(map(len, found.values()))
        yield Finding(
            "symmetric-weights",
            "warning",
            0.9,
            name,
            0,
            f"{count} weights hold the same numbers as another ({others[0]} as {name}): layers "
            "were copied, not drawn anew, as nn.TransformerEncoder does; call gs.init.apply_.",
            {"copies": found},
        )
