"""Which sizes a weight may have been meant to have, of which only shape and use are known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gainstage.theory.fans import GATES, Fans
from gainstage.theory.gains import forward_gain
from gainstage.theory.schemes import SCHEMES, TRANSFORMER


def plausible_fans(op: str, shape: Sequence[int]) -> set[float]:
    """Every fan that somebody may have had in mind for a weight of which only this is known.

    Which axis of a bare tensor is the input is not known, and the gates of a recurrent layer
    share an axis: so both orders, their mean and their parts count.

    Args:
        op: operation that uses the weight.
        shape: of the weight, at least two axes.
    """
    field = math.prod(shape[2:])
    a, b = shape[0] * field, shape[1] * field
    fans = {float(a), float(b), (a + b) / 2}
    if op in GATES:
        fans |= {a / 4, a / 3}
    return {max(fan, 1.0) for fan in fans}


def plausible_stds(op: str, shape: Sequence[int], following: str) -> Iterator[float]:
    """Standard deviations of all schemes that suit a weight of which only this is known.

    Args:
        op: operation that uses the weight.
        shape: of the weight.
        following: the operation after it, an activation or not.
    """
    if op == "Embedding":
        yield from (1.0, TRANSFORMER, shape[-1] ** -0.5)
        return
    gain = forward_gain(following, math.sqrt(2.0))
    for fan in plausible_fans(op, shape):
        for name in ("torch_default", "lecun_normal", "kaiming_normal"):
            yield SCHEMES[name].std(Fans(fan, fan), gain)
