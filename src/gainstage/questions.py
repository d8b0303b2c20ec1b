"""What the playground can be asked, and within which bounds.

Here the page's server, which never loads torch, meets what computes: the server refuses whatever
lies outside, the page takes the ranges of its sliders from here, and the answers can rely on them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, inspect

LINEAR: Final = {"scale": "linear"}
LOG: Final = {"scale": "log"}
TAIL: Final = {"scale": "tail"}
"""Even steps in the logarithm of what is missing to 1: 0, 0.9, 0.99, 0.999."""

LONGEST: Final = 4_000
"""Bytes of a question."""

Name = Annotated[str, Meta(min_length=1, max_length=40)]
Place = Annotated[float, Meta(ge=-1e3, le=1e3)]
Rate = Annotated[float, Meta(ge=1e-6, le=10.0, extra=LOG)]
Kept = Annotated[float, Meta(ge=0.0, le=0.9999, extra=TAIL)]
"""How much of an average is kept from step to step."""

Decay = Annotated[float, Meta(ge=0.0, le=10.0, extra={**LOG, "least": 1e-5})]
Knee = Annotated[float, Meta(ge=0.01, le=10.0, extra=LOG)]
"""Where a loss turns from a parabola into a line."""

Deviation = Annotated[float, Meta(ge=1e-4, le=10.0, extra=LOG)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of an optimiser by torch's names; what is unset has its default there."""

    lr: Rate | UnsetType = UNSET
    momentum: Kept | UnsetType = UNSET
    dampening: Annotated[float, Meta(ge=0.0, le=1.0, extra=LINEAR)] | UnsetType = UNSET
    nesterov: bool | UnsetType = UNSET
    beta: Kept | UnsetType = UNSET
    betas: tuple[Kept, Kept] | UnsetType = UNSET
    alpha: Kept | UnsetType = UNSET
    eps: Annotated[float, Meta(ge=1e-12, le=1.0, extra=LOG)] | UnsetType = UNSET
    weight_decay: Decay | UnsetType = UNSET
    centered: bool | UnsetType = UNSET
    amsgrad: bool | UnsetType = UNSET
    bias_correction: bool | UnsetType = UNSET


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of an initialisation scheme by their names; what is unset has its default there."""

    std: Deviation | UnsetType = UNSET
    bound: Deviation | UnsetType = UNSET
    value: Annotated[float, Meta(ge=-1.0, le=1.0, extra=LINEAR)] | UnsetType = UNSET
    mode: Literal["fan_in", "fan_out", "fan_avg"] | UnsetType = UNSET
    connections: Annotated[int, Meta(ge=1, le=256, extra=LOG)] | UnsetType = UNSET


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True, tag_field="what", tag="catalogue"):
    """What there is: surfaces, optimisers, activations, schemes, and the range of every knob."""


class Terrain(Struct, frozen=True, forbid_unknown_fields=True, tag_field="what", tag="terrain"):
    """The map of a surface.

    Attributes:
        surface: its name.
        knee: of the losses that have one.
    """

    surface: Name
    knee: Knee = 1.0


class Descent(Struct, frozen=True, forbid_unknown_fields=True, tag_field="what", tag="descent"):
    """The way of an optimiser down a surface.

    Attributes:
        surface: its name.
        optimizer: the name of its class.
        start: where it begins.
        settings: its arguments.
        steps: how many points.
        knee: of the losses that have one.
    """

    surface: Name
    optimizer: Name
    start: tuple[Place, Place]
    settings: Settings = Settings()
    steps: Annotated[int, Meta(ge=2, le=300, extra=LINEAR)] = 100
    knee: Knee = 1.0


class Stack(Struct, frozen=True, forbid_unknown_fields=True, tag_field="what", tag="stack"):
    """A stack of linear layers with an activation between them, drawn by a scheme.

    Attributes:
        activation: its name in ``torch.nn.functional``.
        scheme: its name.
        depth: linear layers.
        width: of each, and of the input.
        gain: of every weight; None for the one that is derived from the activation.
        options: of the scheme.
        seed: of the weights.
        values: of which histograms are wanted, by kind of site; the outputs if it is none.
    """

    activation: Name
    scheme: Name
    depth: Annotated[int, Meta(ge=2, le=32, extra=LINEAR)] = 10
    width: Annotated[int, Meta(ge=4, le=256, extra=LOG)] = 128
    gain: Annotated[float, Meta(ge=0.1, le=10.0, extra=LOG)] | None = None
    options: Options = Options()
    seed: Annotated[int, Meta(ge=0, le=9_999, extra=LINEAR)] = 0
    values: Annotated[str, Meta(max_length=40)] = ""


Question = Catalogue | Terrain | Descent | Stack


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """A question, and which part of a page asks: a newer one of the same overtakes it."""

    page: Name
    question: Question


def knobs(struct: Any) -> dict[str, dict[str, Any]]:
    """The range of every number, switch and choice of a struct, for sliders and their like.

    Example:
        >>> knobs(Settings)["lr"]
        {'kind': 'number', 'low': 1e-06, 'high': 10.0, 'scale': 'log'}
        >>> knobs(Settings)["betas"]["kind"], knobs(Stack)["depth"]["kind"]
        ('pair', 'whole')
    """
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - it is one of the above
    told = {field.name: _knob(field.type) for field in info.fields}
    return {name: knob for name, knob in told.items() if knob is not None}


def given(part: Struct) -> dict[str, Any]:
    """The fields that were set.

    Example:
        >>> given(Settings(lr=0.1))
        {'lr': 0.1}
    """
    fields = {name: getattr(part, name) for name in part.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


def _knob(kind: inspect.Type) -> dict[str, Any] | None:
    """What a field is set by; None for names and places, which are no knobs."""
    if isinstance(kind, inspect.UnionType):
        return _knob(kind.types[0])  # the second is None
    if isinstance(kind, inspect.TupleType):
        one = _knob(kind.item_types[0])
        return one and {**one, "kind": "pair"}
    if isinstance(kind, inspect.BoolType):
        return {"kind": "switch"}
    if isinstance(kind, inspect.LiteralType):
        return {"kind": "choice", "values": list(kind.values)}
    if not isinstance(kind, inspect.Metadata) or kind.extra is None:
        return None
    number = kind.type
    assert isinstance(number, (inspect.IntType, inspect.FloatType))  # noqa: S101 - what has a scale
    whole = "whole" if isinstance(number, inspect.IntType) else "number"
    return {"kind": whole, "low": number.ge, "high": number.le, **kind.extra}
