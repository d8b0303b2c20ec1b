"""Weights, gradients and exact updates by torch's own operations: on other devices, not waited for.

And of half precision here, where they are sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gainstage.probe.lines import GRAD, UPDATE, WEIGHT
from gainstage.probe.recorder import Recorder
from gainstage.records import Site
from gainstage.sketch.elsewhere import Reading, Values, is_elsewhere, is_half
from gainstage.sketch.steps import FOLLOWED
from gainstage.sketch.traceable import wide_dtype


@dataclass(slots=True)
class _Kept:
    """A parameter between before and after.

    Attributes:
        weight: its sample, or all of it.
        grad: of the same elements; None if it has none.
        followed: the elements of the weight whose direction is followed.
    """

    weight: Tensor
    grad: Tensor | None
    followed: Tensor


class ParametersElsewhere:
    """Measures parameters around a step by plain torch operations on their device.

    Args:
        recorder: where numbers go, later.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._kept: dict[str, _Kept] = {}
        self._directions: dict[tuple[str, int], Tensor] = {}

    def takes(self, parameter: Tensor, grad: Tensor | None) -> bool:
        """Whether both are dense on another device, or of half precision and only sampled."""
        sampled = self._recorder.reader.lines is not None
        return all(
            is_elsewhere(one) or (sampled and is_half(one))
            for one in (parameter, grad)
            if one is not None
        )

    def release(self) -> None:
        """Let go of every copy."""
        self._kept.clear()
        self._directions.clear()

    def holds(self, name: str) -> bool:
        """Whether a parameter of that name is between before and after."""
        return name in self._kept

    def before(
        self, name: str, parameter: Tensor, grad: Tensor | None, sites: Mapping[int, Site]
    ) -> None:
        """Measure a weight and its gradient, and keep what the update needs."""
        kept = _Kept(self._read(parameter, sites[WEIGHT]), None, self._followed(parameter))
        self._kept[name] = kept
        if grad is not None:
            self.grade(name, grad, sites)

    def grade(self, name: str, grad: Tensor, sites: Mapping[int, Site]) -> None:
        """Measure the gradient of a parameter that is between before and after."""
        if self.takes(grad, None):
            self._kept[name].grad = self._read(grad, sites[GRAD])
            self._align(name, GRAD, self._followed(grad), sites[GRAD])

    def _read(self, tensor: Tensor, site: Site) -> Tensor:
        """Measure a tensor; a copy of its sample, or of all of it."""
        reader = self._recorder.reader
        reading = reader.read_there(tensor)
        self._recorder.read_later(reading, site.id, anew=True)
        return reading.values if reading.sampled else reader.sample_there(tensor)

    def _followed(self, tensor: Tensor) -> Tensor:
        return self._recorder.reader.same_there(tensor, FOLLOWED)

    def changed(self, name: str, parameter: Tensor) -> bool:
        """Whether a parameter differs from what was kept. This waits for the device."""
        now, kept = self._recorder.reader.sample_there(parameter), self._kept[name].weight
        return now.shape == kept.shape and not torch.equal(now, kept)

    def after(self, name: str, parameter: Tensor, site: Site) -> None:
        """Measure an exact update, and what it does to the loss in first order."""
        recorder, reader, kept = self._recorder, self._recorder.reader, self._kept.pop(name)
        now = reader.sample_there(parameter)
        if now.shape != kept.weight.shape:
            return
        change, size = now - kept.weight, parameter.numel()
        if reader.lines is None:
            recorder.read_later(reader.read_there(change), site.id, anew=True)
        else:
            recorder.read_later(Reading(change, size, sampled=True), site.id, anew=True)
        self._align(name, UPDATE, self._followed(parameter) - kept.followed, site)
        if kept.grad is not None:
            predicted = _dot(kept.grad, change) * (size / change.numel())
            recorder.later(predicted.reshape(1), self._predict)

    def _align(self, name: str, what: int, now: Tensor, site: Site) -> None:
        last = self._directions.get((name, what))
        self._directions[name, what] = now
        if last is None or last.shape != now.shape:
            return
        cosine = _dot(now, last) / (_dot(now, now) * _dot(last, last)).sqrt()
        column = self._recorder.column(site, "cosine")
        self._recorder.later(cosine.reshape(1), partial(self._put, column))

    def _put(self, column: int, values: Values) -> None:
        self._recorder.put_columns(column, float(values[0]))  # NaN where one of them is zero

    def _predict(self, values: Values) -> None:
        self._recorder.add_run(predicted_change=float(values[0]))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of products, as wide as the device knows: []."""
    wide = wide_dtype(a.device)
    return (a.to(wide) * b.to(wide)).sum()
