"""The predicted gradients of weight matrices: what came in times what came back, over samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gainstage.init.moments import BINS, Moments, by_bins, likeness
from gainstage.init.tape import Ref, Tape
from gainstage.theory.results import PredictedWeight


def weight_gradients(
    tape: Tape,
    moments: list[Moments],
    names: Mapping[int, str],
    grads: Mapping[str, float],
    pairs: Tensor,
) -> list[PredictedWeight]:
    """Gradients of matrices: sums over samples of what came in times what came back.

    A sum over n samples holds n(n - 1) products of pairs: of what the pair has in common forward
    and of what it has in common backward. Both are larger for pairs that are alike, of one class.
    """
    rows = []
    for node in tape.nodes:
        if node.op != "linear" or len(node.shape) != 2 or not isinstance(node.args[0], Ref):
            continue
        name = names.get(id(node.args[1]))
        x, y = moments[node.args[0].index], moments[node.index]
        if name is None or y.flow.grad is None or name not in grads:
            continue
        n = node.shape[0]
        power = float((y.flow.grad.mean(-1) * x.second.mean(-1)).sum())
        if y.flow_pair.grad is not None:
            power += n * (n - 1) * float((y.flow_pair.grad * pairs * x.samples).mean())
        rows.append(PredictedWeight(name, grads[name], math.sqrt(max(power, 0.0))))
    return rows


def pairs_of(batch: Any, gradients: list[Tensor | None]) -> Tensor:
    """What two samples' gradients have in common, by the likeness of their inputs: [BINS]."""
    inputs = [t for t in pytree.tree_leaves(batch) if isinstance(t, Tensor)]
    found = [gradient for gradient in gradients if gradient is not None]
    if len(found) != 1 or not inputs or len(inputs[0]) != len(found[0]):
        return torch.zeros(BINS, dtype=torch.float64)
    return by_bins(likeness(found[0]), likeness(inputs[0]))
