"""Sharing between forward and backward: each weight's two gains brought into balance."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gainstage.init.tape import Node, Tape, recording
from gainstage.init.wiring import Wiring, of_tape
from gainstage.quantities import level_db

ROUNDS: Final = 3
"""Passes; one is enough where activations have no scale of their own (ReLU)."""


def balance_(model: nn.Module, batch: Any, share: float) -> None:
    """Scale each weight so that (1 - share) forward gain + share backward gain is 0 dB.

    The gains are those from what enters the activation before a layer to what the layer puts
    out, and back. A first layer has no gradient at its input and is left.

    Args:
        model: changed in place.
        batch: as in :func:`gainstage.profile`.
        share: 0 for forward alone, 1 for backward alone.
    """
    for _ in range(ROUNDS):
        with recording(model, batch) as (tape, output):
            _send_back(output)
            scales = dict(_scales(tape, of_tape(tape, model), share))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and id(parameter) in scales:
                    parameter.mul_(scales[id(parameter)])


def _send_back(output: Any) -> None:
    heads = [t for t in _tensors(output) if t.requires_grad]
    chance = torch.Generator().manual_seed(0)
    starts = [torch.randn(h.shape, generator=chance).to(h) for h in heads]
    torch.autograd.backward(heads, starts)


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _scales(tape: Tape, wiring: Wiring, share: float) -> list[tuple[int, float]]:
    found = []
    for parameter, index in wiring.of_weights().items():
        node = tape.nodes[index]
        matrices = [w for w in _tensors((node.args, node.kwargs)) if w.dim() > 1]
        if len(matrices) != 1 or id(matrices[0]) != parameter or not node.inputs:
            continue  # of attention and recurrent layers the insides are not on the tape
        source = _source(tape, wiring, index)
        forward = level_db(node.rms) - level_db(source.rms)
        backward = level_db(source.grad) - level_db(node.grad)
        change = (1 - share) * forward + share * backward
        if math.isfinite(change):
            found.append((parameter, 10 ** (-change / 20)))
    return found


def _source(tape: Tape, wiring: Wiring, index: int) -> Node:
    """What enters the activation before a layer, or the layer's own input."""
    own = wiring.vertices[index].inputs[0]
    before = wiring.feeding(index)
    if before is None:
        return tape.nodes[own]
    return tape.nodes[before.inputs[0]]
