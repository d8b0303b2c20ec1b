"""Who may ask the live server, and for what: checked before anything else looks at a request.

Pages of strangers run in the same browser and can send requests to this machine. So every request
must name this server as its host (a name that a stranger points at 127.0.0.1 does not), must not
come from another site, may only be GET or HEAD, and must bring a cookie that only a browser has
which was opened with an address from the terminal. Each such address opens one browser. At an
address that computes, a POST of a short JSON text by one of this server's own pages is answered,
and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gainstage.questions import LONGEST

LONGEST_QUERY: Final = 2_000
"""Bytes of a query; a longer one is not looked at."""

METHODS: Final = ("GET", "HEAD")

ASKING: Final = ("POST",)
"""The methods at an address that computes."""

_USUAL_PORT: Final = 80
"""Browsers leave it out."""

_DIRECTIVES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    # plotly adds an empty style element, and style attributes to its own drawings
    "style-src-elem": "'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}

POLICY: Final = "; ".join(f"{what} {whence}" for what, whence in _DIRECTIVES.items())
"""The content security policy: scripts and styles of this server alone, requests to it alone."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer carries, refusals included."""


class Keys:
    """The secrets of one server: an address token that is good for once, and the browsers' cookie.

    Args:
        renewed: called with each new token after the one before was used.

    Attributes:
        token: to be put into the next address.
    """

    def __init__(self, renewed: Callable[[str], None] | None = None) -> None:
        self._renewed = renewed
        self.cookie = secrets.token_urlsafe(32)
        self.token = secrets.token_urlsafe(32)

    def spend(self, token: str) -> bool:
        """Whether `token` is the present one; then it is so no longer."""
        if not _same(token, self.token):
            return False
        self.token = secrets.token_urlsafe(32)
        if self._renewed is not None:
            self._renewed(self.token)
        return True

    def admits(self, cookie: str) -> bool:
        """Whether a browser that brings this cookie was let in."""
        return _same(cookie, self.cookie)


class Guard:
    """Lets requests through to an application, or answers them itself with a refusal.

    Args:
        app: what is guarded.
        keys: who is let in.
        port: on which the server listens.
        public: paths that need no cookie: files that every installation has.
        locked: the page for a browser without a cookie.
        asked: paths that are asked by POST, and in no other way.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        port: int,
        public: frozenset[str],
        locked: str,
        asked: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._keys = keys
        self._public = public
        self._locked = locked
        self._asked = asked
        suffix = "" if port == _USUAL_PORT else f":{port}"
        self._hosts = {name + suffix for name in ("127.0.0.1", "localhost", "[::1]")}
        self.cookie_name = f"gainstage-{port}"  # a cookie is sent to every port of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = self._answer(scope, Headers(scope=scope))
            await (refusal or self._app)(scope, receive, _with_headers(send))
        else:  # a websocket, before it is accepted
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """A refusal, the welcome of a new browser, or None for what may pass."""
        refused = self._refused(scope, headers)
        if refused is not None:
            return refused
        admitted = any(map(self._keys.admits, self._cookies(headers)))
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given and scope["path"] == "/" and scope["method"] == "GET":
            if self._keys.spend(given[0]):
                return self._welcome()
            return RedirectResponse("/", status_code=303) if admitted else self._turned_away("/")
        passes = admitted or scope["path"] in self._public
        return None if passes else self._turned_away(scope["path"])

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """What is wrong with a request, whoever sent it."""
        asking = scope["path"] in self._asked
        methods = ASKING if asking else METHODS
        if scope["method"] not in methods:
            told = f"Only {' and '.join(methods)} {'is' if asking else 'are'} answered."
            return _refusal(405, told, {"Allow": ", ".join(methods)})
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return _refusal(421, "This server answers to 127.0.0.1 and localhost only.")
        if not self._is_from_here(headers):
            return _refusal(403, "Requests from other sites are refused.")
        if len(scope["query_string"]) > LONGEST_QUERY:
            return _refusal(414, f"A query may have {LONGEST_QUERY:,} bytes at most.")
        return self._question_refused(headers) if asking else None

    def _question_refused(self, headers: Headers) -> Response | None:
        """What is wrong with a POST: only a page's own script can send one that is right."""
        if len(headers.getlist("origin")) != 1 or "none" in headers.getlist("sec-fetch-site"):
            return _refusal(403, "A question is asked by a page of this server alone.")
        if headers.getlist("content-type") != ["application/json"]:
            return _refusal(415, "A question is application/json.")
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
            return _refusal(411, "A question says how long it is.")
        if len(length) > len(str(LONGEST)) or int(length) > LONGEST:
            return _refusal(413, f"A question may have {LONGEST:,} bytes at most.")
        return None

    def _is_from_here(self, headers: Headers) -> bool:
        """Typed, or sent by a page of this server: what browsers say of where it comes from."""
        origins = {f"http://{host}" for host in self._hosts}
        sites = headers.getlist("sec-fetch-site")
        return all(origin in origins for origin in headers.getlist("origin")) and all(
            site in {"same-origin", "none"} for site in sites
        )

    def _cookies(self, headers: Headers) -> Iterator[str]:
        """Every value that the browser has under our name.

        Other servers of this machine set what they like, under our name as well for paths of their
        own: whatever stands beside ours is passed over.
        """
        for pair in ";".join(headers.getlist("cookie")).split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == self.cookie_name:
                yield value.strip()

    def _welcome(self) -> Response:
        """Let a browser in; its next address is without the token."""
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(
            self.cookie_name, self._keys.cookie, httponly=True, samesite="strict", path="/"
        )
        return response

    def _turned_away(self, path: str) -> Response:
        if path == "/":
            return Response(self._locked, 401, media_type="text/html")
        return _refusal(401, "Open the address that the terminal shows.")


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(), secret.encode())


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text + "\n", status, dict(headers or {}), media_type="text/plain")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
