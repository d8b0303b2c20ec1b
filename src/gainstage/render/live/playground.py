"""The playground's one address: a question that is checked, then computed in another process."""

from __future__ import annotations

from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gainstage.errors import UsageError
from gainstage.questions import Asked
from gainstage.render.live.worker import ComputationError, Worker

PATH: Final = "/api/playground"

MOST_WAITING: Final = 16
"""Pages whose question waits; a further one is told to try again."""

_OVERTAKEN: Final = "A newer question of this page came first."
_CROWDED: Final = "Too many pages of the playground are open at the same time: close some."


class Playground:
    """Computes one question at a time; of those of one page that wait, the newest.

    Args:
        worker: what computes.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._turn = anyio.Lock()
        self._waiting: dict[str, anyio.CancelScope] = {}

    async def endpoint(self, request: Request) -> Response:
        """Answer one question; the guard has seen to where it comes from and how long it is."""
        asked = questioned(await request.body())
        overtaken = self._waiting.pop(asked.page, None)
        if overtaken is not None:
            overtaken.cancel()
        if len(self._waiting) >= MOST_WAITING:
            return _told(503, _CROWDED)
        with anyio.CancelScope() as scope:
            self._waiting[asked.page] = scope
            async with self._turn:
                if self._waiting.get(asked.page) is scope:
                    del self._waiting[asked.page]
                return await self._computed(msgspec.json.encode(asked.question))
        return _told(409, _OVERTAKEN)

    async def _computed(self, question: bytes) -> Response:
        try:
            answer = await anyio.to_thread.run_sync(self._worker.ask, question)
        except ComputationError as error:
            return _told(503, str(error))
        return Response(answer, media_type="application/json")


def questioned(body: bytes) -> Asked:
    """The question in the body of a request.

    Raises:
        UsageError: it is no JSON, or lies outside the bounds.
    """
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"The question makes no sense: {error}."
        raise UsageError(msg) from error


def _told(status: int, sentence: str) -> Response:
    body = msgspec.json.encode({"error": sentence})
    return Response(body, status, media_type="application/json")
