"""Who may ask, from where, and how much: what stands before every route."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uncertainty.errors import printable
from uncertainty.service.hosts import is_of, name_of
from uncertainty.service.problems import Refused, busy
from uncertainty.service.settings import ServiceSettings

COOKIE = "uncertainty_session"
"""Of a browser that gave the token once; see `session_of`."""
HEALTH = ("/healthz", "/readyz")
"""Paths that say nothing but that all is well, to whoever asks by whatever name: probes ask by an address."""
OPEN = (
    *(*HEALTH, "/session"),
    *(f"/desk/assets/{name}" for name in ("session.js", "desk.css", "report.css")),  # what the page /session is made of
)
"""Paths that need no token."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_ONCE = ("authorization", "content-type", "idempotency-key", "origin")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_LONGEST_HOST = 100
_DRAIN_SECONDS = 2.0
_DRAIN_BODIES = 8  # times the limit of a body: none of it is kept


def session_of(token: str) -> str:
    """Return what a cookie holds in place of the token: 64 hexadecimal characters that only who has the token can make.

    >>> session_of("a token of some length") == session_of("a token of some length"), len(session_of("another token"))
    (True, 64)
    """
    return hmac.new(token.encode(), b"session of a browser", hashlib.sha256).hexdigest()


def bears_token(headers: Headers, token: str) -> bool:
    """Whether a request bears the token, as `Authorization: Bearer` or as the cookie; compared in constant time."""
    return _by_header(headers, token) or hmac.compare_digest(_cookie(headers).encode(), session_of(token).encode())


def _by_header(headers: Headers, token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"


def _cookie(headers: Headers) -> str:
    # Browsers send what other services of the same host have set too, of whatever form: it must not hide ours.
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE, "")


class Guard:
    """Refuses what must not reach a route: other hosts, other sites, no token, too much, too slow."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self.settings = app, settings
        self.held = 0
        own = {name_of(host) for host in ("localhost", "127.0.0.1", "[::1]", settings.host, *settings.hosts)}
        # With a token and on all interfaces nothing tells by which names it is called, and a token protects it.
        self._hosts = own if settings.local or settings.hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        _in_origin_form(scope)
        try:
            self._check(scope)
        except Refused as refused:
            await self._refuse(refused, scope, receive, send)
            return
        body = _Body(self, receive)
        # What HEAD asks for is what GET answers; the server leaves the body out.
        passed = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self.app(passed, body.receive, _with_headers(send))
        finally:
            self.held -= body.size
            scope["route"] = passed.get("route")  # is counted by

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refused.response()
        if Headers(scope=scope).get("expect", "").lower() == "100-continue":
            answer.headers["connection"] = "close"  # to read the body would be to ask for it
        else:
            await _drained(receive, _DRAIN_BODIES * self.settings.limits.body)
        await answer(scope, receive, _with_headers(send))

    def _check(self, scope: Scope) -> None:
        headers, limits = Headers(scope=scope), self.settings.limits
        lines = sum(len(name) + len(value) for name, value in scope["headers"])
        if lines + len(scope["raw_path"]) + len(scope["query_string"]) > limits.headers:
            raise Refused(
                431, "headers_too_large", f"the head is longer than {limits.headers} bytes", Connection="close"
            )
        for name in _ONCE:
            if len(headers.getlist(name)) > 1:
                raise Refused(400, "repeated_header", f"the header {name} is there more than once; send it once")
        if scope["path"] not in HEALTH:
            self._check_host(scope["http_version"], headers)
        self._check_site(scope["method"], headers)
        token = self.settings.token
        if token is not None and scope["path"] not in OPEN and not bears_token(headers, token):
            raise Refused(401, "no_token", "send the token as Authorization: Bearer", WWW_Authenticate="Bearer")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise Refused(400, "bad_length", "the content length is no number", Connection="close")
        if len(length) > len(str(limits.body)) or int(length) > limits.body:
            raise self.too_large()

    def too_large(self) -> Refused:
        """Return what a body beyond the limit is answered with."""
        return Refused(
            413, "too_large", f"the body is larger than {self.settings.limits.body} bytes", Connection="close"
        )

    def _check_host(self, version: str, headers: Headers) -> None:
        """Refuse names by which the service is not called: pages may lead a browser here under one of theirs.

        Every browser names a host. Who speaks HTTP/1.0, as probes of load balancers do, need not. Nor is a browser
        led here that bears the token in a header, which no page knows: what counts metrics asks by an address.
        """
        host, token = headers.get("host"), self.settings.token
        if self._hosts is None or (host is None and version == "1.0"):
            return
        if name_of(host or "") in self._hosts or (token is not None and _by_header(headers, token)):
            return
        name = printable(name_of(host or ""))[:_LONGEST_HOST]
        raise Refused(421, "unknown_host", f"the service is not called {name!r}; allow it with --allowed-host")

    def _check_site(self, method: str, headers: Headers) -> None:
        """Refuse what a page of another site has a browser send."""
        if method in _SAFE:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        other = origin is not None and not is_of(origin, headers.get("host", ""))
        if other or site not in ("none", "same-origin"):
            raise Refused(403, "other_site", "pages of other sites may not send this")


class _Body:
    """The body of one request as it arrives, counted and timed."""

    def __init__(self, guard: Guard, receive: Receive) -> None:
        self.guard, self._receive = guard, receive
        self.size, self.whole = 0, False
        self.until = time.monotonic() + guard.settings.limits.seconds

    async def receive(self) -> Message:
        """Return the next message; Refused for too much and too slow, and where others hold all the room there is."""
        if self.whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self.until - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, "too_slow", "the request did not arrive in time", Connection="close") from None
        got = len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        self.size += got
        self.guard.held += got
        if self.size > self.guard.settings.limits.body:
            raise self.guard.too_large()
        if self.guard.held > self.guard.settings.limits.bodies:
            raise busy("no_room", "other requests hold all the room there is")
        return message


def _in_origin_form(scope: Scope) -> None:
    """Let a target that is a whole URL, as clients of a proxy send it, be a path, and its host that of the request."""
    scheme, _, rest = scope["raw_path"].partition(b"://")
    if scheme.lower() not in (b"http", b"https"):
        return
    host, _, path = rest.partition(b"/")
    scope["raw_path"] = b"/" + path
    scope["path"] = unquote(scope["raw_path"].decode("ascii"))
    scope["headers"] = [(b"host", host), *(pair for pair in scope["headers"] if pair[0] != b"host")]


async def _drained(receive: Receive, most: int) -> None:
    """Read what a client is about to send anyway, within bounds, so that it gets to read the answer."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while most > 0:
                message = await receive()
                most -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
