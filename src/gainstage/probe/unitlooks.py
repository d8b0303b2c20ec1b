"""Looks at the units of stages, and records what share of them is dead or saturated."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from gainstage.probe.places import Chart, Entry
from gainstage.probe.ranks import is_distributed
from gainstage.probe.recorder import Recorder
from gainstage.probe.units import (
    UnitsElsewhere,
    UnitWatch,
    by_unit,
    share_outside_there,
    unit_shape,
)
from gainstage.sketch.elsewhere import Values, is_elsewhere
from gainstage.sketch.pool import Pool
from gainstage.sketch.reader import kind_of
from gainstage.sketch.sampling import FLOAT32
from gainstage.sketch.tensors import unreadable


class UnitLooks:
    """Keeps a watch on the units of each stage's call.

    Args:
        recorder: where shares go; its reader says how closely to look.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reader = recorder.reader
        self._looked = False  # since shares were recorded

    def look(self, entry: Entry, tensor: Tensor, kind: int) -> None:
        """Look at what a stage put out.

        Args:
            entry: its call, whose axis is known.
            tensor: its output.
            kind: what :func:`kind_of` says of it.
        """
        axis = entry.axis
        if axis is None or tensor.layout is not torch.strided or not tensor.numel():
            return
        exact = self._reader.lines is None
        shape = unit_shape(entry.shape, axis)
        if not kind:
            if is_elsewhere(tensor):
                there = entry.units_elsewhere
                if there is None or there.units != shape[1]:
                    op = entry.place.op
                    there = entry.units_elsewhere = UnitsElsewhere(shape[1], op, exact=exact)
                there.see(tensor, axis, self._reader.turn)
                return
            if is_distributed(tensor) or unreadable(tensor):
                return
        units = entry.units
        if units is None or units.units != shape[1]:
            units = entry.units = UnitWatch(shape[1], entry.place.op, exact=exact)
        self._looked = True
        in_order = kind == FLOAT32 and kind_of(tensor) == FLOAT32
        x = tensor.data_ptr() if in_order else by_unit(tensor, axis)
        units.see(x, shape, self._reader.turn)

    def record(self, chart: Chart, charts: Iterable[Chart], pool: Pool) -> None:
        """Record the shares of a backward pass's stages.

        Args:
            chart: its stages.
            charts: of all courses of a backward pass, whose shares are out of date now.
            pool: has the readings of this one.
        """
        if self._looked:
            for known in charts:
                known.shares = None
            self._looked = False
        columns, shares = chart.found_of_units()
        if columns.size:
            self._recorder.put_columns(columns, shares)
        for entry, at in zip(chart.entries, chart.columns, strict=True):
            if entry.units_elsewhere is not None:
                self._record_later(entry, entry.units_elsewhere, at, pool)
            elif self._reader.lines is not None and entry.units is not None:
                bounds = entry.units.bounds
                outside = None if bounds is None else pool.outside(entry.reading, bounds)
                if outside is not None:
                    self._recorder.put_columns(at["saturated"], outside)

    def _record_later(
        self, entry: Entry, units: UnitsElsewhere, at: dict[str, int], pool: Pool
    ) -> None:
        shares = dict(units.found)
        reading = pool.elsewhere.get(entry.reading)
        if units.bounds is not None and reading is not None and reading.sampled:
            shares["saturated"] = share_outside_there(reading.values, units.bounds)
        for quantity, share in shares.items():
            self._recorder.later(share, partial(self._put, at[quantity]))

    def _put(self, column: int, values: Values) -> None:
        self._recorder.put_columns(column, float(values[0]))
