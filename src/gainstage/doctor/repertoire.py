"""The remedies that there are, each with how a user writes it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import numpy as np

from gainstage.doctor.candidates import Candidate, Change
from gainstage.recording import Recording

FAMILY: Final = {
    "relu": "relu",
    "relu6": "relu",
    "leaky_relu": "relu",
    "gelu": "relu",
    "silu": "relu",
    "elu": "relu",
    "mish": "relu",
    "hardswish": "relu",
    "tanh": "tanh",
    "sigmoid": "linear",
}
"""Which scheme suits an activation."""

DEEP: Final = 8
"""Activations that make a network a deep one."""

AGAIN: Final = 4
"""Calls of a stage within a step that make it a recurrent one."""


def rate(factor: float, run: Recording) -> Candidate:
    """Longer or shorter steps."""
    rates = run.run_values("lr").astype(np.float64)
    rates = rates[np.isfinite(rates)]
    told = f", {rates[0]:g} -> {rates[0] * factor:.3g} where it begins" if len(rates) else ""
    return Candidate(
        f"learning rate x {factor:g}",
        (Change.of("scale-learning-rate", factor=factor),),
        f"Multiply the learning rate by {factor:g}{told}.",
    )


def reinitialise(run: Recording) -> Candidate:
    """Weights drawn again, as suits the activations of the run."""
    scheme = activation(run)
    weight = "layer.weight" if modules(run) else "w"
    told = {
        "relu": f"torch.nn.init.kaiming_normal_({weight}, nonlinearity='relu')",
        "tanh": f"torch.nn.init.xavier_normal_({weight}, gain=5 / 3)",
        "linear": f"torch.nn.init.xavier_normal_({weight})",
    }[scheme]
    return Candidate(
        f"weights drawn again ({scheme})",
        (Change.of("reinitialise", activation=scheme, recurrent=recurrent(run)),),
        f"Draw every weight by {told}, recurrent ones by orthogonal_, and set biases to zero.",
    )


def rectify() -> Candidate:
    """Activations that do not saturate, and weights that suit them."""
    return Candidate(
        "ReLU for sigmoid and tanh",
        (Change.of("rectify"), Change.of("reinitialise", activation="relu", recurrent=())),
        "Use nn.ReLU in the hidden layers, and draw their weights by kaiming_normal_.",
    )


def clip(norm: float) -> Candidate:
    """Gradients of at most a norm."""
    return Candidate(
        f"gradients clipped to norm {norm:g}",
        (Change.of("clip-gradients", norm=norm),),
        f"Call torch.nn.utils.clip_grad_norm_(model.parameters(), {norm:g}) before each step.",
    )


def output(factor: float, layer: str) -> Candidate:
    """A smaller last layer to begin with."""
    return Candidate(
        f"output layer x {factor:g}",
        (Change.of("scale-output-layer", factor=factor, layer=layer),),
        f"Begin with a smaller output layer: multiply its weights and biases by {factor:g}.",
    )


def no_decay(decay: float, lr: float) -> Candidate:
    """Updates by hand without the decay, given it and the rate of the first one."""
    return Candidate(
        "no weight decay",
        (Change.of("drop-weight-decay", decay=decay, lr=lr),),
        "Leave the decay out of the update, or make it some orders of magnitude smaller.",
    )


STANDARDISE: Final = Candidate(
    "standardised input",
    (Change.of("standardise-input"),),
    "Subtract each feature's mean over the training set and divide by its standard deviation, "
    "in training and in use.",
)
LEAKY: Final = Candidate(
    "leaky ReLU",
    (Change.of("leaky-activation", slope=0.1),),
    "Use nn.LeakyReLU(0.1) in the place of nn.ReLU.",
)
NO_DECAY: Final = Candidate(
    "no weight decay",
    (Change.of("drop-weight-decay"),),
    "Give the optimiser weight_decay=0, or a value some orders of magnitude smaller.",
)
HOLD: Final = Candidate(
    "no schedule that lowers the rate",
    (Change.of("hold-learning-rate"),),
    "Leave the schedule out, or let it fall over the whole training: step it once an epoch if its "
    "numbers count epochs.",
)
DISTURBED: Final = Candidate(
    "weights disturbed by a tenth",
    (Change.of("disturb-weights", share=0.1),),
    "Add noise of a tenth of its own size to each weight, before the first step.",
)
UNCLIP: Final = Candidate(
    "no gradient clipping",
    (Change.of("unclip"),),
    "Leave out the clipping, or clip at a norm that only outliers reach.",
)
ZERO: Final = Candidate(
    "gradients zeroed",
    (Change.of("zero-gradients"),),
    "Call optimizer.zero_grad() before each backward pass.",
)
SKIP: Final = Candidate(
    "steps on NaN skipped",
    (Change.of("skip-non-finite"),),
    "Step only if every gradient is finite; and look for a logarithm, root or division at zero.",
    caveat="It passes over the steps that fail, and leaves what makes them fail.",
)
GUARD: Final = Candidate(
    "logarithms, roots and divisions kept from zero",
    (Change.of("guard-functions", least=1e-7),),
    "Clamp what a logarithm or a root is taken of, or what is divided by: "
    "torch.log(p.clamp_min(1e-7)).",
)
DAMP: Final = Candidate(
    "momentum of at most 0.9",
    (Change.of("damp-momentum", most=0.9),),
    "Give the optimiser momentum=0.9 (Adam and its kin: a first beta of 0.9), or less.",
)
TEMPER: Final = Candidate(
    "inputs of tanh and sigmoid at unit scale",
    (Change.of("temper-activations", most=1.0),),
    "Divide what enters each tanh and sigmoid by its rms at the start (or the weights before it), "
    "so that it begins with an rms of 1.",
)
BATCH_NORM: Final = Candidate(
    "batch normalisation",
    (Change.of("normalise-batches"),),
    "Put nn.BatchNorm1d(units) or nn.BatchNorm2d(channels) between each hidden layer and its "
    "activation (nn.LayerNorm in sequences).",
)
SKIP_CONNECTIONS: Final = Candidate(
    "skip connections",
    (Change.of("skip-connections"),),
    "Let each block return its input plus what it computes: return x + h.",
)
SKIP_LAYERS: Final = Candidate(
    "skip connections past each layer",
    (Change.of("skip-layers"),),
    "Let each hidden layer add to its input what it computes: h = h + activation(layer(h)).",
)
PRECISE: Final = Candidate(
    "float32 throughout",
    (Change.of("full-precision"),),
    "Train in float32; or keep the weights in float32, scale the loss (torch.amp.GradScaler), "
    "and compute in sixteen bits under autocast only.",
)
KEEP_GRAPH: Final = Candidate(
    "nothing detached in the model",
    (Change.of("keep-graph"),),
    "Leave out .detach() in the forward pass, so that the gradient reaches what lies before it.",
)
RECORD_GRAPH: Final = Candidate(
    "no part of the model under no_grad",
    (Change.of("keep-graph", recording=True),),
    "Take torch.no_grad(), and .detach(), away from every part of the model that is to learn.",
)
KEEP_GRADIENTS: Final = Candidate(
    "gradients cleared before the backward pass",
    (Change.of("keep-gradients"),),
    "Call optimizer.zero_grad() before loss.backward(), and not between it and optimizer.step().",
)
SHUFFLE: Final = Candidate(
    "shuffled data",
    (Change.of("shuffle-data"),),
    "Draw the samples in random order: DataLoader(..., shuffle=True), or x[order] and y[order] "
    "with order = torch.randperm(len(x)), anew for each pass.",
)
CALIBRATE: Final = Candidate(
    "weights scaled by data",
    (Change.of("calibrate"),),
    "Scale each weight so that what it puts out has an rms of 1 on a first batch: "
    "gainstage.init.calibrate_(model, x).",
)
LOGITS: Final = Candidate(
    "no softmax before the loss",
    (Change.of("remove-softmax"),),
    "Hand the logits to the loss: leave out the softmax or sigmoid before it.",
)
LOGARITHM: Final = Candidate(
    "log_softmax in the place of softmax",
    (Change.of("take-logarithm"),),
    "Take log_softmax in the place of softmax before nll_loss, or hand the raw scores to "
    "cross_entropy.",
)
MATCH: Final = Candidate(
    "targets in the shape of the predictions",
    (Change.of("match-shapes"),),
    "Give both the same shape: loss_fn(model(x).squeeze(-1), y), or y.unsqueeze(-1).",
)
NORMALISE: Final = Candidate(
    "log_softmax before the loss",
    (Change.of("normalise-scores"),),
    "Hand the scores to cross_entropy, or take log_softmax(scores, dim=1) before nll_loss.",
)
STANDARDISE_TARGET: Final = Candidate(
    "standardised targets",
    (Change.of("standardise-target"),),
    "Subtract the targets' mean over the training set and divide by their standard deviation, and "
    "undo it on the predictions; leave out a sigmoid or tanh after the last layer.",
)
TRAIN: Final = Candidate(
    "training mode",
    (Change.of("train-mode"),),
    "Call model.train() before the training passes, after every evaluation.",
)
ADD: Final = Candidate(
    "all parameters optimised",
    (Change.of("add-missing-parameters"),),
    "Give the optimiser every parameter that is to learn.",
)


def activation(run: Recording) -> str:
    """The scheme that suits most of the activations of a run."""
    families = Counter(FAMILY[s.op] for s in run.of_kind("output") if s.op in FAMILY)
    return families.most_common(1)[0][0] if families else "linear"


def modules(run: Recording) -> bool:
    """Whether the network is made of modules at all, and not of bare tensors."""
    return any(site.op[:1].isupper() for site in run.of_kind("output"))


def squashes(run: Recording) -> bool:
    """Whether there are modules that could be rectifiers instead."""
    return any(site.op in {"tanh", "sigmoid"} for site in run.of_kind("output"))


def blocks(run: Recording) -> bool:
    """Whether stages of the same kind lie in numbered places, at least :data:`AGAIN` of a kind.

    ``layers.0.linear``, ``layers.1.linear``, ...: a list of blocks made of several stages.
    """
    kinds = Counter(
        re.sub(r"(^|\.)\d+\.", r"\1#.", site.name)
        for site in run.of_kind("output")
        if re.search(r"(^|\.)\d+\.\w", site.name)
    )
    return any(number >= AGAIN for number in kinds.values())


def deep(run: Recording) -> bool:
    """Whether so many hidden layers follow each other that a way past them may be missed."""
    return sum(site.op in FAMILY for site in run.of_kind("output")) >= DEEP


def recurrent(run: Recording) -> tuple[str, ...]:
    """The linear stages that are called at least :data:`AGAIN` times in a step."""
    linear = (s.name.partition("#")[0] for s in run.of_kind("output") if s.op == "Linear")
    return tuple(name for name, calls in Counter(linear).items() if calls >= AGAIN)
