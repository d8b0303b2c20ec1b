"""From a question as JSON to its answer as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from gainstage.playground.catalogue import offers
from gainstage.playground.descent import descend, survey
from gainstage.playground.stack import measure
from gainstage.questions import Catalogue, Descent, Question, Stack, Terrain


def answer(question: bytes) -> bytes:
    """The answer of the library to one question.

    Args:
        question: as :data:`gainstage.questions.Question`, in JSON.

    Raises:
        GainstageError: something in it does not fit; the message says what.

    Example:
        >>> answer(b'{"what": "terrain", "surface": "saddle"}')[:37]
        b'{"name":"saddle","about":"A pass betw'
    """
    return msgspec.json.encode(_answered(msgspec.json.decode(question, type=Question)))


def warm() -> None:
    """Answer one question of each kind, so that none waits for what torch loads when first used."""
    descend(Descent("saddle", "SGD", (1.0, 1.0), steps=2))
    measure(Stack("relu", "kaiming_normal", depth=2, width=4))


def _answered(question: Question) -> Any:
    if isinstance(question, Catalogue):
        return offers()
    if isinstance(question, Terrain):
        return survey(question)
    return descend(question) if isinstance(question, Descent) else measure(question)
