"""``gs.predict``: the levels that theory expects of a network, beside those that are measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from typing_extensions import override

from gainstage.init.moments import (
    BINS,
    RULES,
    Call,
    Moments,
    UnknownFormError,
    measured,
    no_flow,
)
from gainstage.init.tape import Node, Ref, Tape, recording
from gainstage.init.vocabulary import MOVES
from gainstage.init.weight_gradients import pairs_of, weight_gradients
from gainstage.probe.profile import loss_for
from gainstage.theory.results import PredictedStage, PredictedWeight, named


@dataclass(frozen=True)
class Prediction:
    """Predicted and measured levels of a network; print it for the table.

    Attributes:
        stages: in forward order.
        weights: gradients of the weight matrices whose input is a batch of vectors.
        loss: of the pass; NaN without a loss function.
        output_shape: of the first tensor that the model returned.
    """

    stages: tuple[PredictedStage, ...]
    weights: tuple[PredictedWeight, ...]
    loss: float
    output_shape: tuple[int, ...]

    def __getitem__(self, name: str) -> PredictedStage:
        """The stage of a name.

        Raises:
            UnknownNameError: there is none of that name.
        """
        return named("stage", self.stages, name)

    def draw(self, path: str | Path, title: str = "") -> None:
        """Draw predicted and measured levels over the stages.

        Args:
            path: of the picture; its ending chooses the format.
            title: above it.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from gainstage.render.init_figures import draw_prediction  # noqa: PLC0415 - to draw

        draw_prediction(self.stages, path, title)

    @override
    def __str__(self) -> str:
        from gainstage.render.init_tables import prediction_table  # noqa: PLC0415 - only to print

        return prediction_table(self.stages)

    @override
    def __repr__(self) -> str:
        worst = max((abs(s.forward_db) for s in self.stages if s.modelled), default=0.0)
        return (
            f"<Prediction: {len(self.stages)} stages, forward within {worst:.1f} dB of what is "
            "measured; print it for the table>"
        )


def predict(
    model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor] | None = None
) -> Prediction:
    """Predict the level of every stage, forward and backward, and measure it too.

    The mean and the second moment of the batch go forward, and those of the loss's gradient go
    back, through a network whose weights count as independent draws with the mean and variance
    that the actual weights have: mean-field theory (Poole et al. 2016; Schoenholz et al. 2017;
    for what samples have in common, Yang et al. 2019). What then differs from the measurement is
    chance (``band_db`` says how much to expect), structure in the weights (training, or a fault),
    or where the theory is crude: attention, max pooling, means over positions, sums of signals
    that depend on each other. The model is left as it was.

    Args:
        model: the network, in the mode that is of interest; dropout and BatchNorm heed it.
        batch: ``(inputs, targets)``, or a mapping of keyword arguments, or the inputs alone;
            the first axis of every tensor numbers the samples.
        loss_fn: as in :func:`gainstage.profile`. Without it, a random gradient of rms 1 is sent
            back from the output.

    Raises:
        UsageError: no torch function was seen between input and output; the loss is no scalar, or
            does not depend on any parameter; the batch is empty or complex.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 10))
        >>> levels = predict(net, torch.randn(128, 64))
        >>> [(s.name, s.op) for s in levels.stages]
        [('0', 'linear'), ('1', 'tanh'), ('2', 'linear')]
        >>> all(abs(s.forward_db) < 1 for s in levels.stages)
        True
    """
    with recording(model, batch) as (tape, output):
        heads = [t for t in pytree.tree_leaves(output) if isinstance(t, Tensor)]
        loss, gradients = _send_back(heads, output, batch, loss_fn)
        grads = {
            name: float(p.grad.double().square().mean().sqrt())
            for name, p in model.named_parameters()
            if p.grad is not None
        }
        parameters = {id(p): name for name, p in model.named_parameters()}
        modelled, moments = _propagate(tape, batch)
    with torch.enable_grad():
        _flow_back(tape, moments, gradients)
    stages = tuple(
        _stage(node, name, moment, known)
        for node, name, moment, known in zip(tape.nodes, tape.names, moments, modelled, strict=True)
        if _is_stage(node)
    )
    pairs = pairs_of(batch, gradients)
    weights = tuple(weight_gradients(tape, moments, parameters, grads, pairs))
    return Prediction(stages, weights, loss, tuple(heads[0].shape))


def _send_back(
    heads: list[Tensor], output: Any, batch: Any, loss_fn: Callable[..., Tensor] | None
) -> tuple[float, list[Tensor | None]]:
    """Run backward; the loss, and its gradient with respect to each tensor of the output."""
    ends = [head for head in heads if head.requires_grad]
    for head in ends:
        head.retain_grad()
    loss = math.nan
    if loss_fn is not None:
        value = loss_for(output, batch, loss_fn)
        loss = float(value.detach())
        value.backward()  # type: ignore[no-untyped-call]
    elif ends:
        chance = torch.Generator().manual_seed(0)
        start = [torch.randn(h.shape, generator=chance).to(h) for h in ends]
        torch.autograd.backward(ends, start)
    grads = [head.grad if head.requires_grad else None for head in heads]
    return loss, [None if g is None else g.detach().double().cpu() for g in grads]


def _propagate(tape: Tape, batch: Any) -> tuple[list[bool], list[Moments]]:
    """Moments of every node, and whether a rule gave them."""
    inputs = [leaf for leaf in pytree.tree_leaves(batch) if isinstance(leaf, Tensor)]
    moments: list[Moments] = []
    modelled: list[bool] = []
    samples = max((len(t) for t in inputs if t.dim()), default=1)
    for node in tape.nodes:
        if node.index < len(inputs):
            moments.append(measured(inputs[node.index]))
            modelled.append(True)
            continue
        known, made = _made_by(node, moments, samples)
        if made.flow.requires_grad:
            made.flow.retain_grad()
            made.flow_pair.retain_grad()
        moments.append(made)
        modelled.append(known)
    return modelled, moments


def _made_by(node: Node, moments: list[Moments], samples: int) -> tuple[bool, Moments]:
    given = pytree.tree_map(
        lambda leaf: moments[leaf.index] if isinstance(leaf, Ref) else leaf,
        (node.args, node.kwargs),
    )
    training = node.owner.training if node.owner is not None else True
    function = node.function
    if function is not None and node.op in RULES:
        call = Call(function, given[0], given[1], node.item, node.shape, training, samples)
        try:
            made = RULES[node.op](call)
        except UnknownFormError:
            return False, _as_measured(node, moments)
        if made.shape == node.shape and made.flow.shape == made.second.shape:
            return True, made
    return False, _as_measured(node, moments)


def _as_measured(node: Node, moments: list[Moments]) -> Moments:
    """Where no rule is known: the measured level, and the gradient's energy as it comes."""
    grid = torch.ones(1, dtype=torch.float64)
    rms = 0.0 if math.isnan(node.rms) else node.rms
    mean = 0.0 if math.isnan(node.mean) else node.mean
    before = [moments[index] for index in node.inputs if moments[index].flow.requires_grad]
    flow, pair = no_flow(()), no_flow((BINS,))
    alike = torch.full((BINS,), mean**2, dtype=torch.float64)
    if before:
        first = before[0]
        flow, pair = first.flow.sum(), first.flow_pair
        share = (first.samples / first.power.clamp_min(1e-300)).clamp(0, 1)
        alike = torch.maximum(alike, share * rms**2)
    size = max(math.prod(node.shape), 1)
    return Moments(
        mean=(mean * grid).expand(node.shape),
        second=(rms**2 * grid).expand(node.shape),
        samples=alike,
        positions=alike.mean(),
        flow=(flow / size).expand(node.shape),
        flow_pair=pair * 1.0,
    )


def _flow_back(tape: Tape, moments: list[Moments], gradients: list[Tensor | None]) -> None:
    """Send the second moment of the output's gradient back through the flows."""
    ends, starts = [], []
    for index, gradient in zip(tape.outputs, gradients, strict=True):
        if index is None or gradient is None:
            continue
        made = moments[index]
        if made.flow.requires_grad:
            ends += [made.flow, made.flow_pair]
            starts += [gradient.square(), torch.ones(BINS, dtype=torch.float64)]
    if ends:
        torch.autograd.backward(ends, starts)


def _is_stage(node: Node) -> bool:
    """Whether a node is worth a line: not an input, not a view."""
    if node.function is None or not math.isfinite(node.rms):
        return False
    return node.op not in MOVES


def _stage(node: Node, name: str, made: Moments, modelled: bool) -> PredictedStage:
    flow = made.flow.grad
    return PredictedStage(
        name=name,
        op=node.op,
        shape=node.shape,
        mean=node.mean,
        rms=node.rms,
        predicted_mean=float(made.centre),
        predicted_rms=math.sqrt(max(float(made.power), 0.0)),
        predicted_spread=math.sqrt(max(float(made.power - made.samples.mean()), 0.0)),
        grad=node.grad,
        predicted_grad=math.nan if flow is None else math.sqrt(max(float(flow.mean()), 0.0)),
        band_db=10 / math.log(10) * math.sqrt(made.spread + made.own_spread),
        crude=made.crude,
        modelled=modelled,
    )
