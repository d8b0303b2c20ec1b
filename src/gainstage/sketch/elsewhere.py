"""Readings of tensors on other devices: taken there by plain torch operations, brought here later.

Nothing here waits for a device: what is read stays there, as a few numbers, until somebody brings
many of them over at once. Samples are element for element those of the kernels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage.sketch import rows, sampling
from gainstage.sketch.anywhere import nearest_float32
from gainstage.sketch.histogram import BINS, SHIFT
from gainstage.sketch.kernels import Counts, count_few
from gainstage.sketch.rows import Row
from gainstage.sketch.sampling import LINE
from gainstage.sketch.tensors import flat
from gainstage.sketch.traceable import row_of
from gainstage.torch_private import is_fake, is_functorch_wrapped

_HOME: Final = "cpu"
"""The device whose memory the kernels read."""

_SIZES: Final = 256
"""Sizes of tensors whose places are remembered."""

Values = NDArray[np.float64] | NDArray[np.float32]


def is_elsewhere(tensor: Tensor) -> bool:
    """Whether a tensor has numbers that only its device can read."""
    return tensor.device.type not in {_HOME, "meta"} and _is_dense(tensor)


def is_half(tensor: Tensor) -> bool:
    """Whether a tensor lies here in half precision: the kernels that sample read float32 alone."""
    return (
        tensor.device.type == _HOME
        and tensor.dtype in {torch.bfloat16, torch.float16}
        and _is_dense(tensor)
    )


def _is_dense(tensor: Tensor) -> bool:
    return (
        type(tensor) in {Tensor, torch.nn.Parameter}
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and tensor.is_floating_point()
        and tensor.numel() > 0
        and not is_functorch_wrapped(tensor)
        and not is_fake(tensor)
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one tensor, on its device.

    Attributes:
        values: a sample, float32; or a row (:func:`row_of`), and the histogram if it is wanted.
        size: elements of the tensor.
        sampled: which of the two it is.
    """

    values: Tensor
    size: int
    sampled: bool

    def write(self, values: Values, row: Row) -> None:
        """Write the row, given the values on this side."""
        if self.sampled:
            sampling.finish(values.astype(np.float32, copy=False), self.size, row)
        else:
            row[:] = values[: rows.WIDTH]

    def counts(self, values: Values) -> Counts | None:
        """The histogram: of a sample always, else if it was wanted."""
        if not self.sampled:
            counted = values[rows.WIDTH :]
            return counted.astype(np.int64) if counted.size else None
        counts = np.zeros(BINS, dtype=np.int64)
        count_few(values.astype(np.float32, copy=False).view(np.uint32), counts)
        return counts


class Elsewhere:
    """Reads tensors on the device where they are.

    Example:
        >>> elsewhere = Elsewhere()
        >>> reading = elsewhere.read(torch.full((1000,), 2.0), lines=4, turn=0, bins=False)
        >>> row = rows.new(1)[0]
        >>> reading.write(bring([reading.values])[0], row)
        >>> rows.summary(row).rms, rows.summary(row).sample_of
        (2.0, 1000)
    """

    def __init__(self) -> None:
        self._places: dict[tuple[int, int, torch.device], tuple[int, Tensor]] = {}

    def read(self, tensor: Tensor, *, lines: int | None, turn: int, bins: bool) -> Reading:
        """Read a tensor; it is not waited for.

        Args:
            tensor: floating-point and dense, of one element or more.
            lines: in a sample; None reads every element.
            turn: number of the sample; the next one takes other lines.
            bins: whether the histogram is wanted.
        """
        size = tensor.numel()
        if lines is not None:
            return Reading(self.sample(tensor, lines, turn), size, sampled=True)
        row = row_of(tensor)
        if bins:
            row = torch.cat([row, _counts(tensor).to(row.dtype)])
        return Reading(row, size, sampled=False)

    def sample(self, tensor: Tensor, lines: int, turn: int) -> Tensor:
        """A copy of the elements that :func:`sampling.gather` takes, in its order: float32 [m]."""
        values = flat(tensor.detach())
        if tensor.numel() > lines * LINE:
            return nearest_float32(values.index_select(0, self._chosen(tensor, lines, turn)))
        near = nearest_float32(values)
        return near.clone() if near.dtype == tensor.dtype else near

    def _chosen(self, tensor: Tensor, lines: int, turn: int) -> Tensor:
        """Places of a sample's elements; tensors of one size share them within a turn."""
        n, device = tensor.numel(), tensor.device
        known = self._places.get((n, lines, device))
        if known is not None and known[0] == turn:
            return known[1]
        if len(self._places) >= _SIZES:
            self._places.clear()
        places = _places(n, lines, turn, device)
        self._places[n, lines, device] = turn, places
        return places


def _places(n: int, lines: int, turn: int, device: torch.device) -> Tensor:
    total = -(-n // LINE)
    step = int(sampling.jump(total))
    first = turn * lines % total * step % total
    chosen = (torch.arange(lines, device=device) * step + first).remainder(total)
    places = (chosen[:, None] * LINE + torch.arange(LINE, device=device)).reshape(-1)
    missing = total * LINE - n
    last = (total - 1 - first) * pow(step, -1, total) % total  # when it is its turn
    if missing and last < lines:
        end = (last + 1) * LINE
        places = torch.cat([places[: end - missing], places[end:]])
    return places


def _counts(tensor: Tensor) -> Tensor:
    """The histogram of all elements: [BINS]. ``bincount`` would wait to see how many bins."""
    values = nearest_float32(flat(tensor.detach()))
    bins = (values.view(torch.int32) >> SHIFT) & (BINS - 1)
    counts = torch.zeros(BINS, dtype=torch.int32, device=tensor.device)
    return counts.index_add_(0, bins, torch.ones_like(bins))


def bring(tensors: Sequence[Tensor]) -> list[Values]:
    """Tensors [n] as arrays, by one transfer for each device and type.

    This waits for the device.
    """
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for i, tensor in enumerate(tensors):
        alike[tensor.device, tensor.dtype].append(i)
    found: dict[int, Values] = {}
    for places in alike.values():
        here = torch.cat([tensors[i] for i in places]).cpu().numpy()
        ends = np.cumsum([tensors[i].numel() for i in places])[:-1]
        found.update(zip(places, np.split(here, ends), strict=True))
    return [found[i] for i in range(len(tensors))]
