"""What a tag means: the quantity and the site that a stranger's name stands for.

There is no rule for tags, only habit. Our own (:mod:`gainstage.sinks.names`) are read exactly; of
others, the words in them decide, and what they do not say is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from gainstage.quantities import QUANTITIES
from gainstage.records import KINDS, Kind

RUN: Final = "run"


class Place(NamedTuple):
    """Where a number belongs.

    Attributes:
        kind: of the site; ``"run"`` for the training as a whole.
        name: of the site.
        quantity: a key of :data:`gainstage.quantities.QUANTITIES`; ``"level"`` for an rms in dB;
            ``"histogram"`` for a distribution.
    """

    kind: Kind
    name: str
    quantity: str


_WORD: Final = re.compile(r"[/_.\s-]+")
_GRADIENT: Final = re.compile(r"^grad(s|ient|ients)?$")
_OUTPUT: Final = re.compile(r"^(act|acts|activation|activations|output|outputs)$")
_WEIGHT: Final = re.compile(r"^(param|params|parameter|parameters|weights)$")
_GROUP: Final = re.compile(r"^(hist|hists|histogram|histograms|train|training|model)$")
_ELSEWHERE: Final = re.compile(r"^(val|valid|validation|test|eval|dev)\d*$")
_ENDING: Final = re.compile(r"[._](grad|gradient|output|activation)s?$")


def _words(tag: str) -> list[str]:
    return [word for word in _WORD.split(tag.lower()) if word]


def own(tag: str) -> Place | None:
    """What a tag means that a sink of ours has written.

    Example:
        >>> own("level/output/layers.0"), own("run/loss")
        (Place(kind='output', name='layers.0', quantity='level'), \
Place(kind='run', name='run', quantity='loss'))
    """
    first, _, rest = tag.partition("/")
    if first == RUN and rest in QUANTITIES:
        return Place(RUN, RUN, rest)
    kind, _, name = rest.partition("/")
    known = first in ("level", "histogram") or first in QUANTITIES
    for one in KINDS:
        if known and name and kind == one != RUN:
            return Place(one, name, first)
    return None


def of_scalar(tag: str) -> str:
    """The quantity of the run that a stranger's scalar stands for; ``""`` if it says none.

    Example:
        >>> of_scalar("train/learning_rate"), of_scalar("Loss/train"), of_scalar("val/loss")
        ('lr', 'loss', '')
    """
    words = _words(tag)
    text = " ".join(words)
    if any(_ELSEWHERE.match(word) for word in words):
        return ""
    if re.search(r"\blr\b|\blearning rate\b", text):
        return "lr"
    if re.search(r"\b(grad|gradient|gradients|total) norm\b", text):
        return "grad_norm"
    return "loss" if "loss" in words or text.endswith("loss") else ""


def best_loss(tags: Iterable[str]) -> str:
    """Of several tags that say loss, the one that says least beside it; ``""`` if there is none.

    Example:
        >>> best_loss(["train/aux_loss", "train/loss", "loss_epoch"])
        'train/loss'
    """

    def beside(tag: str) -> tuple[int, int, str]:
        words = [word for word in _words(tag) if word not in ("loss", "train", "training", "step")]
        return len(words), len(tag), tag

    return min((tag for tag in tags if of_scalar(tag) == "loss"), key=beside, default="")


def of_histogram(tag: str) -> Place | None:
    """The site whose elements a stranger's histogram holds; None if it is of another data set.

    Example:
        >>> of_histogram("gradients/layers.0.weight")
        Place(kind='grad', name='layers.0.weight', quantity='histogram')
        >>> of_histogram("conv1/weight"), of_histogram("conv1/activations").kind
        (Place(kind='weight', name='conv1.weight', quantity='histogram'), 'output')
    """
    words = _words(tag)
    if any(_ELSEWHERE.match(word) for word in words):
        return None
    kind: Kind = "weight"
    if any(map(_GRADIENT.match, words)):
        kind = "grad"
    elif any(map(_OUTPUT.match, words)):
        kind = "output"
    markers = (_GRADIENT, _OUTPUT, _WEIGHT, _GROUP)
    parts = [part for part in tag.split("/") if part]
    kept = [part for part in parts if not any(marker.match(part.lower()) for marker in markers)]
    name = _ENDING.sub("", ".".join(kept)) or ".".join(parts)
    return Place(kind, name, "histogram")


def layer_of(place: Place) -> str:
    """The stage that a site belongs to: a parameter's name without its last part."""
    if place.kind in ("weight", "grad", "update") and "." in place.name:
        return place.name.rpartition(".")[0]
    return place.name
