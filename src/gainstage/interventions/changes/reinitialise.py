"""Weights drawn again, from the distribution that suits the activation; biases zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn import init

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    around_models,
    optimizers_made,
    own_randomness,
    trained,
    weighted_backwards,
)
from gainstage.probe import graph

GAINS: Final = {"relu": math.sqrt(2.0), "tanh": 5.0 / 3.0, "linear": 1.0}

_INTO_STATE: Final = 0.3
"""Gain of the input of a recurrent layer: an orthogonal state sums up all that enters it."""

_CONVOLUTIONS: Final = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@INTERVENTIONS.register("reinitialise")
@contextmanager
def reinitialise(activation: str = "relu", recurrent: Sequence[str] = ()) -> Iterator[None]:
    """Draw every weight again before the first forward pass of the module that it belongs to.

    Bare tensors, which no module owns, are drawn when the first backward pass reaches them; its
    gradients are those of the old ones, and are set to zero. The script's random numbers are
    left as they are.

    Args:
        activation: ``"relu"`` (He), ``"tanh"`` (Glorot with gain 5/3) or ``"linear"`` (Glorot).
        recurrent: names of layers that are called again and again in a step: drawn orthogonal,
            which neither grows nor fades.
    """
    done: WeakSet[nn.Module] = WeakSet()
    drawn: set[int] = set()
    begun = False

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if root not in done:
            with own_randomness():
                for name, module in root.named_modules():
                    if module not in done:
                        done.add(module)
                        draw(module, activation)
                        if name in recurrent and isinstance(module, nn.Linear):
                            init.orthogonal_(module.weight.data)
        drawn.update(map(id, root.parameters()))

    def weigh(roots: list[Tensor]) -> float:
        nonlocal begun
        first, begun = not begun, True
        leaves = trained(graph.leaves(roots), made) if first else []
        bare = [t for t in leaves if id(t) not in drawn]
        bare = [t for t in bare if t.dim() > 1 and t.is_floating_point()]
        with own_randomness():
            for tensor in bare:
                draw_bare(tensor, activation)
        return 0.0 if bare else 1.0

    with optimizers_made() as made, around_models(before), weighted_backwards(weigh):
        yield


@torch.no_grad()
def draw(module: nn.Module, activation: str) -> None:
    """Draw the weights that a module itself owns.

    Args:
        module: a layer; norms, and what is none, stay as they are.
        activation: what follows it.
    """
    if any(
        isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters(recurse=False)
    ):
        return
    if isinstance(module, (nn.Linear, *_CONVOLUTIONS)):
        _draw_matrix(module.weight.data, activation)
        if module.bias is not None:
            module.bias.data.zero_()
    elif isinstance(module, nn.Embedding):
        module.reset_parameters()
    else:
        for name, parameter in module.named_parameters(recurse=False):
            if "bias" in name:
                parameter.data.zero_()
            elif parameter.dim() == 2 and isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
                _draw_gates(parameter.data, recurrent="_hh" in name)
            elif parameter.dim() > 1:
                draw_bare(parameter, activation)


@torch.no_grad()
def draw_bare(tensor: Tensor, activation: str) -> None:
    """Draw a tensor of which nobody knows which axis is the input: a square one orthogonal."""
    square = tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1]
    gain = min(GAINS[activation], 5 / 3)
    if square and activation != "relu":
        init.orthogonal_(tensor.data)
    else:
        init.xavier_normal_(tensor.data, gain=gain)


def _draw_matrix(weight: Tensor, activation: str) -> None:
    if activation == "relu":
        init.kaiming_normal_(weight, nonlinearity="relu")
    else:
        init.xavier_normal_(weight, gain=GAINS[activation])


def _draw_gates(weight: Tensor, *, recurrent: bool) -> None:
    """The gates of a recurrent layer lie one above the other: [gates * hidden, in]."""
    hidden = weight.shape[1] if recurrent else weight.shape[0]
    for gate in torch.split(weight, hidden):
        if recurrent:
            init.orthogonal_(gate)
        else:
            init.xavier_uniform_(gate, gain=_INTO_STATE)
