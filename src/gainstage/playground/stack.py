"""The initialisation bench: a stack of layers drawn by a scheme, predicted and measured."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from gainstage.errors import UnknownNameError, UsageError
from gainstage.init import GAINS, SCHEMES, Initialisation, Prediction, apply_, predict
from gainstage.playground.seen import histograms_of
from gainstage.quantities import level_db
from gainstage.questions import Stack, given
from gainstage.theory.fans import Fans
from gainstage.theory.results import PredictedStage
from gainstage.theory.schemes import Scheme
from gainstage.views.histograms import Ridges, ridges
from gainstage.views.view import number

SAMPLES: Final = 128
"""Standard normal inputs."""

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {
    name: nn.Identity
    if name == "linear"
    else next(one for key, one in vars(nn).items() if key.lower() == name.replace("_", ""))
    for name in GAINS
}
"""By torch's functional name, those whose gain is known."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the stack.

    Attributes:
        name: as the model calls it.
        op: what it does.
        level: measured level of its output in dB; None if it is silent or not finite.
        predicted: by theory.
        band: standard deviation between seeds that theory expects of the level, in dB.
        grad: measured level of the gradient with respect to its output.
        predicted_grad: by theory.
        crude: whether the theory is known to be rough here.
    """

    name: str
    op: str
    level: float | None
    predicted: float | None
    band: float | None
    grad: float | None
    predicted_grad: float | None
    crude: bool


@dataclass(frozen=True, slots=True)
class Weights:
    """How the weights were drawn.

    Attributes:
        law: what was drawn from.
        first_std: standard deviation of the first layer.
        std: of the others.
        first_gain: gain of the first layer; None if the scheme heeds none.
        gain: of the others.
    """

    law: str
    first_std: float | None
    std: float | None
    first_gain: float | None
    gain: float | None


@dataclass(frozen=True, slots=True)
class Levels:
    """What an initialisation does to a signal and to its gradient.

    Attributes:
        stages: first to last.
        weights: how they were drawn.
        histograms: over depth, of the kind that was asked for.
        code: the calls that compute the same.
    """

    stages: tuple[Stage, ...]
    weights: Weights
    histograms: Ridges
    code: str


def offered(scheme: Scheme) -> bool:
    """Whether a scheme is for a stack of linear layers: no convolution, no residual branch."""
    return scheme.branch is None and scheme.law != "delta_orthogonal"


def heeds_gain(scheme: Scheme) -> bool:
    """Whether a gain changes what a scheme draws.

    Example:
        >>> [name for name in ("kaiming_normal", "torch_default") if heeds_gain(SCHEMES[name])]
        ['kaiming_normal']
    """
    return scheme.std(Fans(4, 4), 2.0) != scheme.std(Fans(4, 4), 1.0)


def model_of(question: Stack) -> tuple[nn.Sequential, Initialisation]:
    """The stack, drawn; and the table of what was drawn.

    Raises:
        UnknownNameError: there is no such activation or scheme.
        UsageError: the scheme is not for such a stack, or has no such option.
    """
    if question.activation not in ACTIVATIONS:
        there_are = ", ".join(ACTIVATIONS)
        msg = f"There is no activation named {question.activation!r}. There are: {there_are}."
        raise UnknownNameError(msg)
    if not offered(SCHEMES[question.scheme]):
        msg = f"The scheme {question.scheme!r} is for convolutions or residual branches."
        raise UsageError(msg)
    layers: dict[str, nn.Module] = {}
    for layer in range(1, question.depth + 1):
        # torch's own weights would be drawn for nothing, and by the global generator
        layers[f"layer{layer}"] = skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, question.width, question.width
        )
        layers[f"{question.activation}{layer}"] = ACTIVATIONS[question.activation]()
    layers.popitem()
    model = nn.Sequential(OrderedDict(layers))
    options = given(question.options)
    drawn = apply_(model, question.scheme, generator=question.seed, gain=question.gain, **options)
    return model, drawn


def inputs_of(question: Stack) -> Tensor:
    """Standard normal inputs: [samples, width], the same for every seed of the weights."""
    return torch.randn(SAMPLES, question.width, generator=torch.Generator().manual_seed(0))


def measure(question: Stack) -> Levels:
    """Draw the stack, predict its levels, measure them, and keep the histograms.

    A random gradient of rms 1 is sent back from its output, as :func:`gainstage.predict` does.

    Raises:
        GainstageError: a name or an option does not fit; the message says which.
    """
    model, drawn = model_of(question)
    batch = inputs_of(question)
    with histograms_of(model) as seen:
        found = predict(model, batch)
    told = ridges(seen(), only=question.values)
    return Levels(_stages(question, found), _weights(drawn), told, code(question))


def code(question: Stack) -> str:
    """The calls of the library that compute what a question asks for."""
    told = {"gain": question.gain, **given(question.options)}
    arguments = "".join(f", {k}={v!r}" for k, v in told.items() if v is not None)
    linear = f"nn.Linear({question.width}, {question.width})"
    activation = f"nn.{ACTIVATIONS[question.activation].__name__}()"
    inner = f"layer for _ in range({question.depth - 1}) for layer in ({linear}, {activation})"
    return (
        f"inputs = torch.randn({SAMPLES}, {question.width}, "
        "generator=torch.Generator().manual_seed(0))\n"
        f"model = nn.Sequential(*[{inner}], {linear})\n"
        f'gs.init.apply_(model, "{question.scheme}", generator={question.seed}{arguments})\n'
        "print(gs.predict(model, inputs))"
    )


def _stages(question: Stack, found: Prediction) -> tuple[Stage, ...]:
    """All that the stack is made of; what no finite number came out of was not predicted."""
    known = {stage.name: stage for stage in found.stages}
    names = [(f"layer{i}", f"{question.activation}{i}") for i in range(1, question.depth + 1)]
    silent = question.activation == "linear"  # an identity calls nothing
    stages = []
    for layer, activation in names:
        stages.append(_stage(layer, "linear", known.get(layer)))
        if not silent:
            stages.append(_stage(activation, question.activation, known.get(activation)))
    return tuple(stages if silent else stages[:-1])


def _stage(name: str, op: str, stage: PredictedStage | None) -> Stage:
    if stage is None:
        return Stage(name, op, None, None, None, None, None, crude=False)
    return Stage(
        name,
        op,
        number(level_db(stage.rms)),
        number(level_db(stage.predicted_rms)),
        number(stage.band_db, 4),
        number(level_db(stage.grad)),
        number(level_db(stage.predicted_grad)),
        stage.crude,
    )


def _weights(drawn: Initialisation) -> Weights:
    rows = [row for row in drawn.rows if row.name.endswith("weight")]
    first, last = rows[0], rows[-1]
    heeded = heeds_gain(SCHEMES[drawn.scheme])
    return Weights(
        first.law,
        number(first.std),
        number(last.std),
        number(first.gain) if heeded else None,
        number(last.gain) if heeded else None,
    )
