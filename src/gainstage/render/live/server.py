"""Starts the live server on this machine and opens a browser on it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Final

import uvicorn
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.render.live.app import make_app
from gainstage.render.live.guard import Guard, Keys
from gainstage.render.live.shelf import Shelf

HOST: Final = "127.0.0.1"
"""The only address that is listened on: no other machine can reach it."""

PORT: Final = 8753
"""The usual port; another one is taken if it is in use."""


def serve(
    folder: str | os.PathLike[str],
    *,
    port: int | None = None,
    browser: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the runs of a folder until Ctrl-C.

    Args:
        folder: of run files; it may be missing and appear later.
        port: to listen on; None for the usual one, or any that is free.
        browser: open one.
        tell: what prints a line.

    Raises:
        UsageError: the port that was asked for is in use.
    """
    listener = _listener(port)
    number: int = listener.getsockname()[1]

    def address(token: str) -> str:
        return f"http://{HOST}:{number}/?token={token}"

    keys = Keys(lambda token: tell(f"Opened. For another browser: {address(token)}"))
    server = _Server(make_app(Shelf(folder), keys, number))
    if browser:
        server.when_ready = lambda: webbrowser.open(address(keys.token))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn hands it on when all is closed
        tell(f"Runs in '{folder}' at {address(keys.token)}")
        tell("Only this machine can reach it; the address opens one browser. Ctrl-C ends it.")
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, app: Guard) -> None:
        config = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,  # addresses hold tokens
            server_header=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
            ws="none",
        )
        super().__init__(config)
        self.when_ready: Callable[[], object] = lambda: None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        threading.Thread(target=self.when_ready, daemon=True).start()  # some browsers hold it up


def _listener(port: int | None) -> socket.socket:
    try:
        return _listening(PORT if port is None else port)
    except OSError as error:
        if port is not None:
            msg = f"Port {port} cannot be listened on ({error.strerror}). Choose another: --port 0."
            raise UsageError(msg) from error
        return _listening(0)


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(64)  # the address is good as soon as it is printed
    except OSError:
        listener.close()
        raise
    return listener
