"""What rules look at: series of a recording, put into ratios, levels and chains.

Everything here is free of scale where it can be: ratios of updates to weights, elasticities
(relative change of the loss per relative change of a weight), levels relative to other stages.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.diagnosis.growth import SWOLLEN_DB, Gain, Growth, along_calls, along_stages
from gainstage.diagnosis.operations import PARAMETRIC
from gainstage.diagnosis.progress import Progress, progress
from gainstage.recording import Recording
from gainstage.records import Kind, Site

Floats = NDArray[np.float64]

EARLY: Final = 5
"""Steps that show the network as it was initialised, before training changed it much."""

NO_STEP: Final = "no-optimizer-step"
"""Event: an optimiser exists, many backwards have passed, and it was never stepped."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight matrix (or filter bank, or table) with its series: float64 [T] each.

    Attributes:
        site: of kind ``weight``.
        rms: of the weight.
        grad: norm of its gradient.
        ratio: rms of the update over rms of the weight.
        elasticity: ``|grad| |weight| / |loss|``: how much of the loss one relative step moves.
        cosine: alignment of the gradient with the one before.
    """

    site: Site
    rms: Floats
    grad: Floats
    ratio: Floats
    elasticity: Floats
    cosine: Floats


class Evidence:
    """A recording as rules see it; each derived series is computed once.

    Args:
        recording: the run.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._rows = _measured(recording)
        self.steps = recording.steps[self._rows]

    @cached_property
    def loss(self) -> Floats:
        """The loss: [T]."""
        return self.run("loss")

    @cached_property
    def progress(self) -> Progress:
        """How the training went."""
        # the loss is recorded at every step, whatever else is left out
        loss, chance = (self.recording.run_values(q) for q in ("loss", "chance_loss"))
        if any(event.code == NO_STEP for event in self.recording.events):
            loss = loss[1:]  # of many backwards, before it was plain that no step would come
        return progress(
            loss.astype(np.float64), chance.astype(np.float64), sound_start=not self._swollen
        )

    @cached_property
    def _swollen(self) -> bool:
        """Whether the first loss was made by an answer far stronger than the first stage's output.

        What counts is what differs between samples (a bias may be set on purpose), beyond what
        adding up over the calls of a stage explains.
        """
        stages = [site for site in self.outputs if site.op in PARAMETRIC]
        gain = along_stages(self._at_start(stages))
        if gain is None:
            return False
        spread = np.nan_to_num(self.first(self.series(stages[-1], "sample_spread")), nan=1.0)
        calls = max((len(sites) for sites in self.calls("output").values()), default=1)
        return gain.last + 20 * float(np.log10(max(spread, 1e-9) / calls)) > SWOLLEN_DB

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Parameters with at least two axes that are trained, in forward order.

        Where there is none, those vectors that a stage multiplies by: a regression has no more.
        """
        matrices = tuple(w for w in self.parameters if len(w.site.shape) >= 2)
        vectors = (w for w in self.parameters if w.site.shape and w.site.op in PARAMETRIC)
        return matrices or tuple(vectors)

    @cached_property
    def parameters(self) -> tuple[Weight, ...]:
        """All that is trained, in forward order."""
        found = (self._weight(site) for site in self.recording.of_kind("weight"))
        return tuple(w for w in found if np.isfinite(w.grad).any())

    @cached_property
    def outputs(self) -> tuple[Site, ...]:
        """Outputs of stages in forward order."""
        return self.recording.of_kind("output")

    @cached_property
    def hidden(self) -> tuple[Site, ...]:
        """Outputs of all stages but those after the last one with weights."""
        last = max((s.order for s in self.outputs if s.op in PARAMETRIC), default=-1)
        return tuple(s for s in self.outputs if s.order < last)

    def following(self, site: Site) -> str:
        """The operation that receives what a site's stage puts out; ``""`` if there is none."""
        own = next((s for s in self.outputs if s.layer == site.layer), None)
        if own is None:
            return ""
        after = [s for s in self.outputs if s.order > own.order]
        return min(after, key=lambda s: s.order).op if after else ""

    @cached_property
    def size(self) -> Floats:
        """The loss as a measure of changes in it: [T].

        Its absolute value, but not less than is usual: a loss that falls below zero (a critic's,
        a score's) is zero for a moment, and then no change is small beside it.
        """
        size = np.abs(self.loss)
        usual = min(median(size), float(np.nan_to_num(size[:EARLY], nan=0.0).max(initial=0.0)))
        return np.maximum(size, usual)

    @cached_property
    def signal_gain(self) -> Gain | None:
        """How the signal runs through the hidden stages with weights before the first step.

        The last stage is left out (a head may start at zero on purpose).
        """
        return along_stages(self._at_start(self.chain("output")[:-1]))

    def in_time(self, kind: Kind) -> Growth | None:
        """The stage whose level grows most from call to call, before the first step.

        Outputs from the first call on, gradients from the last one back.
        """
        found = []
        for name, sites in self.calls(kind).items():
            levels = [level for _, level in self._at_start(sites)]
            found.append(along_calls(name, levels if kind == "output" else levels[::-1]))
        return max((g for g in found if g is not None), key=lambda g: g.db, default=None)

    @cached_property
    def rate(self) -> Floats:
        """Median over the weights of update over weight: [T]; NaN where no step was made."""
        return self._median([w.ratio for w in self.weights])

    @cached_property
    def predicted_share(self) -> Floats:
        """First-order predicted decrease of the loss by each step, over its size: [T].

        On a quadratic bowl the best step predicts twice what there is to gain and a step at the
        edge of stability four times, so a step that predicts more than the whole loss is lost.
        """
        change = self.run("predicted_change")
        with np.errstate(divide="ignore", invalid="ignore"):
            return -change / self.size

    def series(self, site: Site | None, quantity: str) -> Floats:
        """One quantity at one site: [T]; all NaN if it was not measured."""
        if site is None:
            return np.full(len(self.steps), np.nan)
        return self.recording.values(site, quantity)[self._rows].astype(np.float64)

    def run(self, quantity: str) -> Floats:
        """One quantity of the run as a whole: [T]."""
        return self.recording.run_values(quantity)[self._rows].astype(np.float64)

    @property
    def spacing(self) -> float:
        """Steps of the training per step that was measured."""
        return len(self.recording.steps) / max(len(self._rows), 1)

    def level(self, site: Site, quantity: str = "rms") -> Floats:
        """Level in dB of a site: [T]; NaN where it is zero or unknown."""
        values = self.series(site, quantity)
        with np.errstate(divide="ignore", invalid="ignore"):
            db = 20.0 * np.log10(values)
        return np.where(np.isfinite(db), db, np.nan)

    def chain(self, kind: Kind, ops: frozenset[str] = PARAMETRIC) -> list[Site]:
        """Stages of given operations that run once a step, in forward order."""
        sites = self.recording.of_kind(kind)
        again = {_stage(s) for s in sites if _call(s) > 1}
        return [s for s in sites if s.op in ops and _stage(s) not in again]

    def calls(self, kind: Kind) -> dict[str, list[Site]]:
        """Stages that run several times a step (unrolled in time): their calls in order."""
        found: dict[str, list[Site]] = {}
        for site in self.recording.of_kind(kind):
            found.setdefault(_stage(site), []).append(site)
        return {n: sorted(sites, key=_call) for n, sites in found.items() if len(sites) > 1}

    def _at_start(self, sites: Iterable[Site]) -> list[tuple[str, float]]:
        """Names and levels before the first step; NaN if that was not measured."""
        return [(site.name, float([*self.level(site)[:1], np.nan][0])) for site in sites]

    def step_at(self, index: int) -> int:
        """The step number of a position in a series."""
        return int(self.steps[index]) if len(self.steps) else 0

    def first(self, values: Floats) -> float:
        """The first known value: before the first step, if that was measured."""
        known = values[np.isfinite(values)]
        return float(known[0]) if len(known) else float("nan")

    def early(self, values: Floats) -> float:
        """Median over the first steps."""
        return median(values[:EARLY])

    def late(self, values: Floats) -> float:
        """Median over the last fifth of the steps."""
        return median(values[-max(len(values) // 5, 1) :])

    def _weight(self, site: Site) -> Weight:
        name = site.name
        weight = self.series(site, "rms")
        norm = self.series(site, "l2")
        grad_site = self.recording.site(name, "grad")
        grad = self.series(grad_site, "l2")
        update = self.series(self.recording.site(name, "update"), "rms")
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = update / weight
            elasticity = grad * norm / self.size
        return Weight(site, weight, grad, ratio, elasticity, self.series(grad_site, "cosine"))

    def _median(self, rows: list[Floats]) -> Floats:
        if not rows:
            return np.full(len(self.steps), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a step at which all are NaN
            return np.asarray(np.nanmedian(np.stack(rows), axis=0))


def _measured(recording: Recording) -> NDArray[np.intp]:
    """Rows at which more than the loss was measured (``every=`` leaves some out); else all."""
    seen = np.zeros(len(recording.steps), dtype=bool)
    for kind in ("weight", "output"):
        for site in recording.of_kind(kind)[:8]:
            seen |= np.isfinite(recording.values(site, "count"))
            seen |= np.isfinite(recording.values(site, "rms"))
    if len(seen):
        loss = recording.run_values("loss")
        seen |= ~np.isfinite(loss) & (np.arange(len(seen)) >= len(seen) - 2)  # how it ended
    return np.flatnonzero(seen) if seen.any() else np.arange(len(seen))


def _stage(site: Site) -> str:
    return site.name.partition("#")[0]


def _call(site: Site) -> int:
    return int(site.name.partition("#")[2] or 1)


def median(values: Floats) -> float:
    """Median of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def first_lasting(condition: NDArray[np.bool_], patience: int = 3) -> int | None:
    """Position from which a condition holds `patience` times in a row, or None.

    Example:
        >>> first_lasting(np.array([True, False, True, True, True]))
        2
    """
    run = 0
    for index, holds in enumerate(condition):
        run = run + 1 if holds else 0
        if run >= patience:
            return index - patience + 1
    return None
