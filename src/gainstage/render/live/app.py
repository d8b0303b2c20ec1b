"""The live server's application: a fixed set of addresses, none of which holds a path or a name."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gainstage.errors import GainstageError, RunFileError
from gainstage.render.live.answers import Answers, Query, asked, encode
from gainstage.render.live.guard import ASKING, Guard, Keys
from gainstage.render.live.playground import PATH, Playground
from gainstage.render.live.shelf import Shelf
from gainstage.render.live.stream import Streams
from gainstage.render.live.worker import Worker
from gainstage.render.static_files import MODULES, plotly_source, static_text, unneeded_styles

_READERS: Final = 3
"""Answers that are worked on at the same time; others wait for their turn."""

_LIVE: Final = tuple(name for name in MODULES if name != "report.js")

_LOG: Final = logging.getLogger("gainstage")

_SCRIPT: Final = "text/javascript"


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
    worker = Worker()

    def tells(answer: Callable[[Query], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            query = asked(request.query_params)
            return await anyio.to_thread.run_sync(_json, answer, query, limiter=readers)

        return endpoint

    async def runs(request: Request) -> Response:
        del request
        told = await anyio.to_thread.run_sync(answers.runs, limiter=readers)
        return Response(encode(told), media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        shelf.close()
        worker.close()

    served = (*MODULES, "page.css", "playground.css", "plotly.js")
    files = {f"/static/{name}": _file(name) for name in served}
    routes = [
        Route("/", _page, methods=["GET"]),
        Route("/api/runs", runs, methods=["GET"]),
        Route("/api/run", tells(answers.opening), methods=["GET"]),
        Route("/api/findings", tells(answers.findings), methods=["GET"]),
        Route("/api/heatmap", tells(lambda query: answers.view("heatmap", query))),
        Route("/api/histograms", tells(lambda query: answers.view("histograms", query))),
        Route("/api/levels", tells(lambda query: answers.view("levels", query))),
        Route("/api/updates", tells(lambda query: answers.view("updates", query))),
        Route("/api/compare", tells(answers.comparison), methods=["GET"]),
        Route("/api/events", streams.endpoint, methods=["GET"]),
        Route(PATH, Playground(worker).endpoint, methods=[*ASKING]),
        *(Route(path, file, methods=["GET"]) for path, file in files.items()),
    ]
    handlers: dict[Any, Any] = {GainstageError: _told, HTTPException: _refused, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    public = frozenset(files)
    return Guard(app, keys, port, public, static_text("locked.html"), frozenset({PATH}))


def _json(answer: Callable[[Query], Any], query: Query) -> Response:
    return Response(encode(answer(query)), media_type="application/json")


async def _page(request: Request) -> Response:
    del request
    ids = unneeded_styles(plotly_source())
    templates = "".join(f'<template id="{key}"></template>' for key in ids)
    preloads = "\n".join(f'<link rel="modulepreload" href="/static/{name}">' for name in _LIVE)
    page = static_text("live.html").replace("{{unneeded}}", templates)
    page = page.replace("{{modules}}", preloads)
    return Response(page, media_type="text/html")


def _file(name: str) -> Callable[[Request], Any]:
    kind = "text/css" if name.endswith(".css") else _SCRIPT

    async def endpoint(request: Request) -> Response:
        del request
        text = plotly_source() if name == "plotly.js" else static_text(name)
        return Response(text, media_type=kind)

    return endpoint


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
