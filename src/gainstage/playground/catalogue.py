"""What the playground offers: read from the registries, so that a new member needs no page."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from gainstage.init import SCHEMES
from gainstage.landscape import SURFACES
from gainstage.playground.descent import LINES, OPTIMIZERS, arguments, knee_of
from gainstage.playground.stack import ACTIVATIONS, SAMPLES, heeds_gain, offered
from gainstage.questions import Descent, Options, Settings, Stack, knobs
from gainstage.theory.schemes import Scheme


@dataclass(frozen=True, slots=True)
class SurfaceOffered:
    """A surface: its name, and what the knee of its loss is called (``""`` if it has none)."""

    name: str
    knee: str


@dataclass(frozen=True, slots=True)
class OptimizerOffered:
    """An optimiser.

    Attributes:
        name: of its class.
        about: its rule.
        settings: its arguments with their defaults.
        scaled: whether it divides by the size of the gradient, so that a step is about the rate.
    """

    name: str
    about: str
    settings: dict[str, Any]
    scaled: bool


@dataclass(frozen=True, slots=True)
class SchemeOffered:
    """An initialisation scheme.

    Attributes:
        name: of it.
        about: what it is, and its source.
        gain: whether a gain changes it.
        gained: whether it derives one from the activation.
        options: its options with their defaults.
    """

    name: str
    about: str
    gain: bool
    gained: bool
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Offers:
    """All that can be chosen, and the range of every knob by the question that it belongs to."""

    surfaces: tuple[SurfaceOffered, ...]
    optimizers: tuple[OptimizerOffered, ...]
    activations: tuple[str, ...]
    schemes: tuple[SchemeOffered, ...]
    samples: int
    knobs: dict[str, dict[str, dict[str, Any]]]


def offers() -> Offers:
    """The catalogue."""
    asked = {"descent": Descent, "settings": Settings, "stack": Stack, "options": Options}
    return Offers(
        surfaces=tuple(SurfaceOffered(name, knee_of(name)) for name in (*SURFACES, *LINES)),
        optimizers=tuple(_optimizer(name) for name in OPTIMIZERS),
        activations=tuple(ACTIVATIONS),
        schemes=tuple(_scheme(one) for _, one in SCHEMES.items() if offered(one)),
        samples=SAMPLES,
        knobs={name: knobs(struct) for name, struct in asked.items()},
    )


def _optimizer(name: str) -> OptimizerOffered:
    settings = arguments(name)
    about = (inspect.getdoc(OPTIMIZERS[name]) or "").partition("\n")[0]
    return OptimizerOffered(name, about, settings, "eps" in settings)


def _scheme(scheme: Scheme) -> SchemeOffered:
    parameters = inspect.signature(scheme.deviation).parameters
    options = {name: parameters[name].default for name in scheme.options}
    return SchemeOffered(scheme.name, scheme.about, heeds_gain(scheme), scheme.gained, options)
