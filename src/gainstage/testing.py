"""Runs written by hand, for tests of rules and views: name what is odd, the rest is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gainstage.recording import MemoryRecording
from gainstage.records import Event, Kind, RunInfo, Site

Floats: TypeAlias = NDArray[np.float64]

STEPS = 200


def falling_loss(start: float = 2.3, end: float = 0.1, steps: int = STEPS) -> Floats:
    """A loss that falls exponentially, with a little noise: float64 [steps]."""
    noise = np.random.default_rng(0).normal(0, 0.01 * start, steps)
    return np.asarray(end + (start - end) * np.exp(-np.arange(steps) / (steps / 6)) + noise)


def flat_loss(level: float = 2.303, steps: int = STEPS) -> Floats:
    """A loss that stays where it is, with a little noise: float64 [steps]."""
    return level + np.random.default_rng(1).normal(0, 0.01, steps)


@dataclass
class Chain:
    """A plain network of linear stages with an activation between them, and its training.

    The defaults are a healthy training. A scalar holds for every layer and step; an array is
    [layers], [steps] or [layers, steps].

    Attributes:
        layers: number of linear stages; their names are ``"0"``, ``"2"``, ``"4"``, ...
        steps: number of steps.
        activation: operation between them; its stages are ``"1"``, ``"3"``, ...
        loss: [steps].
        chance: loss of the best constant prediction.
        forward_db: level of each linear stage's output.
        backward_db: level of its gradient.
        weight_rms: of each weight [32, 32].
        grad_l2: norm of each weight's gradient.
        ratio: update over weight. NaN, with a gradient that is NaN, for a frozen layer: its
            weight is not recorded.
        grad_cosine: alignment of successive gradients.
        dead: share of dead units.
        saturated: share of saturated outputs (tanh and sigmoid only).
        predicted_share: predicted decrease of the loss over the loss.
        input: quantities of the input that differ from a standardised one's.
        run: further quantities of the run.
        unit_spread: difference of each weight's units, and of its gradient's.
        sample_spread: how much each linear stage's output depends on the sample.
        running_gap: gap of the running statistics of a BatchNorm after the first stage, if there
            is one.
        dtype: of all tensors.
        grad_zeros: share of zeros in all gradients.
        update_zeros: likewise in the updates.
        nan_at: name, kind and step from which a tensor holds NaN.
        facts: what is known of the training.
        events: what happened.

    Example:
        >>> from gainstage.diagnosis import diagnose
        >>> diagnose(Chain().recording())
        ()
        >>> [f.code for f in diagnose(Chain(loss=flat_loss(), dead=1.0).recording())]
        ['dead-units']
    """

    layers: int = 6
    steps: int = STEPS
    activation: str = "relu"
    loss: ArrayLike = field(default_factory=falling_loss)
    chance: float = 2.303
    forward_db: ArrayLike = 0.0
    backward_db: ArrayLike = -40.0
    weight_rms: ArrayLike = 0.1
    grad_l2: ArrayLike = 0.5
    ratio: ArrayLike = 1e-3
    grad_cosine: ArrayLike = 0.1
    dead: ArrayLike = 0.1
    saturated: ArrayLike = 0.03
    predicted_share: ArrayLike = 0.02
    input: dict[str, float] = field(default_factory=dict)
    run: dict[str, ArrayLike] = field(default_factory=dict)
    unit_spread: ArrayLike = 0.9
    sample_spread: ArrayLike = 0.6
    running_gap: ArrayLike | None = None
    dtype: str = "float32"
    grad_zeros: float = 0.0
    update_zeros: float = 0.0
    nan_at: tuple[str, Kind, int] | None = None
    facts: dict[str, Any] = field(default_factory=lambda: {"loss": "cross_entropy"})
    events: Sequence[Event] = ()

    def recording(self) -> MemoryRecording:
        """The chain as a recording."""
        draft = _Draft(self.steps, self.nan_at, self.dtype)
        run = draft.site("run", "run", "", 0, ())
        loss = np.asarray(self.loss, dtype=float)
        draft.put(run, "loss", loss)
        draft.put(run, "chance_loss", self.chance)
        draft.put(run, "predicted_change", -self._grid(self.predicted_share)[0] * np.abs(loss))
        usual_run = {"kept_grad": 1.0, "stale_grad": 0.0, "eval_mode": 0.0, "weight_decay": 0.0}
        for quantity, value in {**usual_run, **self.run}.items():
            draft.put(run, quantity, value)
        if self.running_gap is not None:
            norm = draft.tensor("norm", "output", "BatchNorm1d", 1, 1.0, (64, 32))
            draft.put(norm, "running_gap", self.running_gap)
        for layer in range(self.layers):
            self._linear(draft, layer)
            if layer < self.layers - 1:
                self._activation(draft, layer)
        entry = draft.tensor("0", "input", "Linear", 0, 1.0, (64, 32))
        usual = {"rms": 1.0, "zero_share": 0.0, "feature_spread": 3.0, "feature_offset": 0.1}
        for quantity, value in {**usual, **self.input}.items():
            draft.put(entry, quantity, value)
        info = RunInfo(id="handmade", started=0.0, facts=self.facts)
        return MemoryRecording(draft.sites, draft.values, info=info, events=self.events)

    def _linear(self, draft: _Draft, layer: int) -> None:
        name, order = str(2 * layer), 2 * layer
        for kind, db in (("output", self.forward_db), ("output_grad", self.backward_db)):
            rms = 10 ** (self._grid(db)[layer] / 20)
            site = draft.tensor(name, kind, "Linear", order, rms, (64, 32))
            if kind == "output_grad":
                draft.put(site, "zero_share", self.grad_zeros)
            if kind == "output":
                draft.put(site, "sample_spread", self._grid(self.sample_spread)[layer])
        weight = self._grid(self.weight_rms)[layer]
        parameter = {
            "weight": weight,
            "grad": self._grid(self.grad_l2)[layer] / 32,
            "update": self._grid(self.ratio)[layer] * weight,
        }
        if np.isnan(parameter["grad"]).all() and np.isnan(parameter["update"]).all():
            return
        for kind, rms in parameter.items():
            site = draft.tensor(f"{name}.weight", kind, "Linear", order, rms, (32, 32))
            zeros = {"weight": 0.0, "grad": self.grad_zeros, "update": self.update_zeros}
            draft.put(site, "zero_share", zeros[kind])
            if kind != "update":
                draft.put(site, "unit_spread", self._grid(self.unit_spread)[layer])
            if kind == "grad":
                draft.put(site, "cosine", self._grid(self.grad_cosine)[layer])

    def _activation(self, draft: _Draft, layer: int) -> None:
        rms = 10 ** (self._grid(self.forward_db)[layer] / 20) / np.sqrt(2)
        order = 2 * layer + 1
        site = draft.tensor(str(order), "output", self.activation, order, rms, (64, 32))
        draft.put(site, "dead_units", self._grid(self.dead)[layer])
        if self.activation in {"tanh", "sigmoid"}:
            draft.put(site, "saturated", self._grid(self.saturated)[layer])
            draft.put(site, "saturated_units", self._grid(self.saturated)[layer] / 2)

    def _grid(self, value: ArrayLike) -> Floats:
        """Anything as [layers, steps]."""
        array = np.asarray(value, dtype=float)
        if array.ndim == 1 and array.shape[0] == self.layers != self.steps:
            array = array[:, None]
        return np.broadcast_to(array, (self.layers, self.steps))


class _Draft:
    """Sites and values of a recording in the making."""

    def __init__(self, steps: int, nan_at: tuple[str, Kind, int] | None, dtype: str) -> None:
        self.steps = steps
        self.dtype = dtype
        self.nan_at = nan_at
        self.sites: list[Site] = []
        self.values: dict[tuple[int, str], NDArray[np.float32]] = {}

    def site(self, name: str, kind: Any, op: str, order: int, shape: tuple[int, ...]) -> Site:
        layer = name.removesuffix(".weight")
        axis = len(shape) - 1 if kind == "output" else None
        place = Site(len(self.sites), name, kind, layer, op, order, shape, self.dtype)
        site = replace(place, unit_axis=axis)
        self.sites.append(site)
        return site

    def tensor(
        self, name: str, kind: Any, op: str, order: int, rms: ArrayLike, shape: tuple[int, ...]
    ) -> Site:
        site = self.site(name, kind, op, order, shape)
        level = np.broadcast_to(np.asarray(rms, dtype=float), (self.steps,)).copy()
        nan = np.zeros(self.steps)
        if self.nan_at is not None and self.nan_at[:2] == (name, kind):
            nan[self.nan_at[2] :] = 1
            level[self.nan_at[2] :] = np.nan
        self.put(site, "rms", level)
        self.put(site, "l2", level * np.sqrt(np.prod(shape)))
        self.put(site, "nan", nan)
        self.put(site, "inf", 0.0)
        return site

    def put(self, site: Site, quantity: str, values: ArrayLike) -> None:
        array = np.broadcast_to(np.asarray(values, dtype=np.float32), (self.steps,))
        self.values[site.id, quantity] = array
