"""The playground's process: a question a line comes in, an answer a line goes out.

It ends with its standard input, so with whoever holds the other end, however that dies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec

from gainstage.errors import GainstageError

_NO_TORCH: Final = (
    "The playground computes with torch, and that cannot be imported here ({error}): "
    "run `pip install torch`."
)


def main() -> None:
    """Answer until nobody asks any more."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # whatever prints does not answer
    serve(sys.stdin.buffer, answers)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each line of one stream on the other.

    Args:
        questions: one JSON object a line, as :data:`gainstage.questions.Question`.
        answers: gets one line each: JSON with the answer, or with a sentence as ``refused``.
    """
    answer = _answerer()
    for question in questions:
        answers.write(answer(question) + b"\n")
        answers.flush()


def _answerer() -> Callable[[bytes], bytes]:
    try:
        from gainstage.playground.answers import answer, warm  # noqa: PLC0415 - loads torch
    except ImportError as error:
        told = _refused(_NO_TORCH.format(error=error))
        return lambda _: told
    warm()

    def answered(question: bytes) -> bytes:
        try:
            return answer(question)
        except GainstageError as error:
            return _refused(str(error))

    return answered


def _refused(sentence: str) -> bytes:
    return msgspec.json.encode({"refused": sentence})
