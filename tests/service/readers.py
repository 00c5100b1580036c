"""What reads requests, asked in this process without a client that would refuse to send them; for tests and longer."""

import asyncio
import json
import resource
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import mutations

LEAKS = (b"Traceback", b"site-packages", b"uncertainty/service")
ROOM = 600 << 20
"""Bytes that memory may grow by: an image of 50 megapixels, which a small file may hold, as it is and as RGB."""


def sent(app, method, path, query=b"", head=(), body=b""):
    """Return the status and the body of an answer to a request whose parts are taken as they are."""
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http"},
        **{"path": path, "raw_path": path.encode("utf-8", "surrogatepass"), "root_path": "", "query_string": query},
        **{"headers": list(head), "client": ("127.0.0.1", 9), "server": ("127.0.0.1", 8000)},
    }
    waiting = [
        {"type": "http.request", "body": body[:20], "more_body": True},
        {"type": "http.request", "body": body[20:]},
    ]
    got = []

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        got.append(message)

    asyncio.run(app(scope, receive, send))
    return got[0]["status"], b"".join(one.get("body", b"") for one in got[1:])


def _holds(answer):
    status, body = answer
    assert status < 500, body[:300]
    assert not any(leak in body for leak in LEAKS), body[:300]
    if status >= 400:
        assert set(json.loads(body)["error"]) == {"code", "message"}


HOST = (b"host", b"127.0.0.1")


def _typed(kind):
    return [HOST, (b"content-type", kind.encode())]


def _query(pairs):
    return "&".join(f"{name}={quote_from_bytes(mutations._bytes(value))}" for name, value in pairs).encode()


KINDS = {
    "images": mutations.images.map(lambda data: ("POST", "/v1/screen", b"", _typed("image/png"), data)),
    "forms": mutations.forms().map(lambda form: ("POST", "/v1/screen", b"", _typed(form[1]), form[0])),
    "documents": mutations.documents().map(lambda body: ("POST", "/v1/screen", b"", _typed("application/json"), body)),
    "heads": st.tuples(
        st.sampled_from(("GET", "POST", "PUT", "HEAD", "BREW")),
        mutations.paths,
        mutations.queries.map(_query),
        mutations.heads.map(lambda lines: [HOST, *lines]),
        st.sampled_from([b"", b"x", mutations.IMAGES["png"]]),
    ),
}


def bear(app, kind, examples, seed=None):
    """Send so many requests of a kind; AssertionError for a 5xx, for what an answer must not tell, for much memory.

    Returns by how many bytes memory grew. Without a seed they are the same each time.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    quick = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed is None,
        suppress_health_check=list(HealthCheck),
    )

    @quick
    @given(request=KINDS[kind])
    def holds(request):
        _holds(sent(app, *request))

    if seed is not None:
        holds = _seeded(holds, seed)
    holds()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < ROOM, f"memory grew by {grown >> 20} MiB"
    return grown


def _seeded(function, number):
    from hypothesis import seed

    return seed(number)(function)
