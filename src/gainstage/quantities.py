"""The one place where a measured quantity is named.

A series in a run file is a (site, quantity) pair; this table says what the quantity means, its
symbol and unit, at which kinds of site it is measured, and where the idea comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gainstage.records import KINDS, Kind

TENSOR_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "run")
UNIT_KINDS: tuple[Kind, ...] = ("output",)
STEP_KINDS: tuple[Kind, ...] = ("grad", "update")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number measured once a step at a site.

    Attributes:
        key: its name in files and in code.
        title: its name for people.
        symbol: how a formula writes it.
        unit: ``""`` for the tensor's own unit, ``"share"`` for 0..1, ``"count"``, ``"s"``.
        kinds: kinds of site at which it is measured.
        about: one sentence, with the source where there is one.
    """

    key: str
    title: str
    symbol: str
    unit: str
    kinds: tuple[Kind, ...]
    about: str


_TABLE = (
    Quantity("count", "elements", "n", "count", TENSOR_KINDS, "Number of elements read."),
    Quantity("mean", "mean", "μ", "", TENSOR_KINDS, "Mean of the finite elements."),
    Quantity("rms", "rms", "√E x²", "", TENSOR_KINDS, "Root mean square of the finite elements."),
    Quantity("std", "std", "σ", "", TENSOR_KINDS, "Population standard deviation (ddof 0)."),
    Quantity("l2", "norm", "‖x‖₂", "", TENSOR_KINDS, "Euclidean norm: rms times sqrt(count)."),
    Quantity("min", "minimum", "min x", "", TENSOR_KINDS, "Smallest finite element."),
    Quantity("max", "maximum", "max x", "", TENSOR_KINDS, "Largest finite element."),
    Quantity("zero_share", "zeros", "P(x=0)", "share", TENSOR_KINDS, "Share of exact zeros."),
    Quantity("nan", "NaN", "#NaN", "count", TENSOR_KINDS, "Number of NaN; never dropped."),
    Quantity("inf", "Inf", "#Inf", "count", TENSOR_KINDS, "Number of infinities; never dropped."),
    Quantity(
        "rms_error",
        "error of the rms",
        "se(rms)/rms",
        "share",
        TENSOR_KINDS,
        "Relative standard error of the rms, from the spread between the lines that were sampled; "
        "0 where every element was read.",
    ),
    Quantity(
        "dead_units",
        "dead units",
        "dead",
        "share",
        UNIT_KINDS,
        "Share of units that were zero for every sample of the last window of steps.",
    ),
    Quantity(
        "saturated",
        "saturated",
        "sat",
        "share",
        UNIT_KINDS,
        "Share of elements with |tanh| > 0.97, or of a sigmoid outside 0.03..0.97 "
        "(Glorot & Bengio 2010 show the effect; the cut-off is Karpathy's).",
    ),
    Quantity(
        "saturated_units",
        "saturated units",
        "sat units",
        "share",
        UNIT_KINDS,
        "Share of units that were saturated for every sample of the last window of steps.",
    ),
    Quantity(
        "feature_spread",
        "feature spread",
        "σ_95/σ_5",
        "",
        ("input",),
        "Ratio of the 95th to the 5th percentile of the standard deviations of the features that "
        "vary.",
    ),
    Quantity(
        "feature_offset",
        "feature offset",
        "|μ|/σ",
        "",
        ("input",),
        "Median over the features that vary of |mean| / standard deviation.",
    ),
    Quantity(
        "unit_spread",
        "difference of units",
        "σ_units/rms",
        "",
        ("weight", "grad"),
        "How much the units of a layer differ, relative to their size: 0 if all are alike, and "
        "then, if their gradients are too, they stay alike.",
    ),
    Quantity(
        "sample_spread",
        "dependence on the sample",
        "σ_samples/rms",
        "",
        UNIT_KINDS,
        "How much of a stage's output differs from sample to sample: 0 if it is the same for all.",
    ),
    Quantity(
        "running_gap",
        "gap of the running statistics",
        "Δ_eval",
        "",
        UNIT_KINDS,
        "How far a BatchNorm's normalised output would move, in its standard deviations, if it "
        "used its running statistics (as in evaluation) in place of the batch's.",
    ),
    Quantity(
        "cosine",
        "alignment",
        "cos",
        "",
        STEP_KINDS,
        "Cosine with the same tensor one step earlier: near -1 the step overshoots, near +1 it "
        "is timid.",
    ),
    Quantity("loss", "loss", "L", "", ("run",), "The scalar on which backward was called."),
    Quantity("lr", "learning rate", "η", "", ("run",), "Rate of the first parameter group."),
    Quantity(
        "weight_decay", "weight decay", "λ", "", ("run",), "Largest decay of all parameter groups."
    ),
    Quantity(
        "kept_grad",
        "kept gradient",
        "‖g‖/‖g_raw‖",
        "",
        ("run",),
        "Norm of the gradient that the optimiser sees over that which the backward pass left: "
        "below 1 where it was clipped; without the factor of a gradient scaler.",
    ),
    Quantity(
        "stale_grad",
        "stale gradient",
        "g ∋ g₋₁",
        "share",
        ("run",),
        "1 where the gradient of the step before was never cleared and is part of this one.",
    ),
    Quantity(
        "skipped",
        "skipped step",
        "skip",
        "share",
        ("run",),
        "1 where a gradient scaler left the step out, for a gradient was not finite.",
    ),
    Quantity(
        "eval_mode",
        "evaluation mode",
        "eval",
        "share",
        ("run",),
        "Share of the BatchNorm and Dropout stages of this step that ran in evaluation mode, "
        "within a model that was in it as a whole.",
    ),
    Quantity(
        "predicted_change",
        "predicted change",
        "Σ g·Δw",
        "",
        ("run",),
        "First-order change of the loss by this step: gradient times update, summed.",
    ),
    Quantity(
        "grad_norm", "gradient norm", "‖g‖₂", "", ("run",), "Norm over all parameters' gradients."
    ),
    Quantity(
        "chance_loss",
        "chance loss",
        "L₀",
        "",
        ("run",),
        "Loss of the best constant prediction on the targets seen so far: the labels' entropy "
        "for cross entropy, the variance for squared error.",
    ),
    Quantity("seconds", "step time", "t", "s", ("run",), "Wall time since the previous step."),
    Quantity(
        "own_seconds",
        "own work",
        "t_o",
        "s",
        ("run",),
        "Of one rank of several: wall time from the end of a backward pass to the beginning of the "
        "next, where it waits for no other.",
    ),
    Quantity("probe_seconds", "probe time", "t_p", "s", ("run",), "Part of it spent measuring."),
)

QUANTITIES: dict[str, Quantity] = {quantity.key: quantity for quantity in _TABLE}

SUMMARY_KEYS = (
    "count",
    "mean",
    "rms",
    "std",
    "l2",
    "min",
    "max",
    "zero_share",
    "nan",
    "inf",
    "rms_error",
)
"""The quantities that every measured tensor has."""


def level_db(rms: float) -> float:
    """Level in decibel of a signal: ``20 log10(rms)``; 0 dB is an rms of 1.

    Example:
        >>> level_db(1.0), level_db(0.1), level_db(0.0)
        (0.0, -20.0, -inf)
    """
    return 20.0 * math.log10(rms) if rms > 0 else -math.inf
