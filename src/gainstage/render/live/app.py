"""The live server's application: a fixed set of addresses, none of which holds a path or a name."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gainstage.errors import GainstageError, RunFileError
from gainstage.render.live.answers import VIEWS, Answers, asked, encode
from gainstage.render.live.guard import ASKING, Guard, Keys
from gainstage.render.live.lab import LabShelf, lab_asked
from gainstage.render.live.playground import PATH, Playground
from gainstage.render.live.shelf import Shelf
from gainstage.render.live.stream import Streams
from gainstage.render.live.worker import Worker
from gainstage.render.report import bundle
from gainstage.render.static_files import MODULES, plotly_source, static_text, unneeded_styles

_READERS: Final = 3
"""Answers that are worked on at the same time; others wait for their turn."""

_LOG: Final = logging.getLogger("gainstage")

_SCRIPT: Final = "text/javascript"
_ENTRY: Final = "live.js"


def make_app(shelf: Shelf, keys: Keys, port: int) -> Guard:
    """The application behind its guard.

    Args:
        shelf: the runs.
        keys: who is let in.
        port: on which it will be served.
    """
    answers = Answers(shelf)
    readers = anyio.CapacityLimiter(_READERS)
    streams = Streams(shelf)
    lab = LabShelf(shelf.folder)
    worker = Worker()

    def tells(
        answer: Callable[[Any], Any], read: Callable[[Mapping[str, str]], Any] = asked
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            query = read(request.query_params)
            return await anyio.to_thread.run_sync(_json, answer, query, limiter=readers)

        return endpoint

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        shelf.close()
        worker.close()

    views = {name: tells(functools.partial(answers.view, name)) for name in VIEWS}
    served = (*MODULES, "page.css", "playground.css", "plotly.js")
    files = {f"/static/{name}": _file(name) for name in served}
    routes = [
        Route("/", _page, methods=["GET"]),
        Route("/api/runs", tells(lambda _: answers.runs(), _nothing), methods=["GET"]),
        Route("/api/run", tells(answers.opening), methods=["GET"]),
        Route("/api/findings", tells(answers.findings), methods=["GET"]),
        *(Route(f"/api/{name}", endpoint, methods=["GET"]) for name, endpoint in views.items()),
        Route("/api/compare", tells(answers.comparison), methods=["GET"]),
        Route("/api/lab", tells(lambda _: lab.experiments(), _nothing), methods=["GET"]),
        Route("/api/experiment", tells(lab.experiment, lab_asked), methods=["GET"]),
        Route("/api/landscape", tells(lab.landscape, lab_asked), methods=["GET"]),
        Route("/api/events", streams.endpoint, methods=["GET"]),
        Route(PATH, Playground(worker).endpoint, methods=[*ASKING]),
        *(Route(path, file, methods=["GET"]) for path, file in files.items()),
    ]
    handlers: dict[Any, Any] = {GainstageError: _told, HTTPException: _refused, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    public = frozenset(files)
    return Guard(app, keys, port, public, static_text("locked.html"), frozenset({PATH}))


def _nothing(parameters: Mapping[str, str]) -> None:
    del parameters  # there is nothing to ask for


def _json(answer: Callable[[Any], Any], query: Any) -> Response:
    return Response(encode(answer(query)), media_type="application/json")


async def _page(request: Request) -> Response:
    del request
    ids = unneeded_styles(plotly_source())
    templates = "".join(f'<template id="{key}"></template>' for key in ids)
    page = static_text("live.html").replace("{{unneeded}}", templates)
    return Response(page, media_type="text/html")


def _file(name: str) -> Callable[[Request], Any]:
    kind = "text/css" if name.endswith(".css") else _SCRIPT

    async def endpoint(request: Request) -> Response:
        del request
        return Response(_content(name), media_type=kind)

    return endpoint


@functools.cache
def _content(name: str) -> bytes:
    if name == _ENTRY:  # all modules in one answer: a question each would hold up the first one
        return bundle(name).encode("utf-8")
    text = plotly_source() if name == "plotly.js" else static_text(name)
    return text.encode("utf-8")


async def _told(request: Request, error: Exception) -> Response:
    """An error that Gainstage raised on purpose, as the sentence that it is."""
    del request
    status = 404 if isinstance(error, RunFileError) else 400
    return Response(encode({"error": str(error)}), status, media_type="application/json")


async def _failed(request: Request, error: Exception) -> Response:
    """A mistake of ours: the page says so, and the terminal says where."""
    _LOG.error("The live page failed at %s", request.url.path, exc_info=error)
    told = (
        f"Gainstage failed at this: {type(error).__name__}: {error}. "
        "The terminal says where; please report it."
    )
    return Response(encode({"error": told}), 500, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response("There is nothing here.\n", status, media_type="text/plain")
