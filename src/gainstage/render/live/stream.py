"""Server-sent events: a browser is told when something was written, and asks for it itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gainstage.errors import RunFileError
from gainstage.render.live.answers import asked
from gainstage.render.live.shelf import Shelf, Signature, mark, quiet

MOST: Final = 24
"""Streams that are open at the same time; a further browser is told to try again."""

PAUSE: Final = 0.5
"""Seconds between two looks at the files."""

_HEARTBEAT: Final = 10.0

_LOOKS: Final = 2
"""Looks at the same time: the disk is the answers' as well."""

_State = list[tuple[str, Signature]]


class Streams:
    """The streams of all browsers.

    An event says no more than that the files are not what they were, and for how many seconds
    nothing was written; looking costs a few ``stat`` a file and opens none. It is done beside the
    loop that answers everybody, for a folder may be large, or on a disk that is slow.

    Args:
        shelf: the runs.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._open = 0
        self._looks = anyio.CapacityLimiter(_LOOKS)

    async def endpoint(self, request: Request) -> Response:
        """Follow one run, or the folder if none is named."""
        name = asked(request.query_params).run if "run" in request.query_params else None
        if name is not None:
            await anyio.to_thread.run_sync(self._shelf.path, name)  # a sentence, if there is none
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._open >= MOST:
            told = "Too many pages follow runs at the same time: close some.\n"
            return Response(told, 503, headers={"Retry-After": "5"}, media_type="text/plain")
        return StreamingResponse(self._events(name), media_type="text/event-stream")

    async def _events(self, name: str | None) -> AsyncIterator[str]:
        self._open += 1
        try:
            yield "retry: 1000\n\n"
            known: object = None
            silent = 0.0
            while True:
                now = await anyio.to_thread.run_sync(self._state, name, limiter=self._looks)
                if now != known or silent >= _HEARTBEAT:
                    told = {} if name is None else _told(now)
                    yield f"data: {json.dumps({'changed': now != known, **told})}\n\n"
                    known, silent = now, 0.0
                await asyncio.sleep(PAUSE)
                silent += PAUSE
        finally:
            self._open -= 1

    def _state(self, name: str | None) -> _State:
        """The signature of a run, or of all there are."""
        try:
            return (
                self._shelf.signatures() if name is None else [(name, self._shelf.signature(name))]
            )
        except RunFileError:
            return []


def _told(state: _State) -> dict[str, float | str | None]:
    if not state:
        return {"mark": None, "quiet": None}
    ((_, signature),) = state
    return {"mark": mark(signature), "quiet": quiet(signature)}
