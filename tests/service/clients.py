"""An application asked in this process, as a client at loopback would ask it."""

import asyncio

import httpx

from uncertainty.service.app import create_app
from uncertainty.service.settings import ServiceSettings

BASE = "http://127.0.0.1:8000"
PLAIN = ServiceSettings()
TOKEN = "a-token-that-nobody-guesses"


def asked(settings=PLAIN, routers=(), *, method="GET", path="/healthz", **request):
    """Return the answer to one request."""

    async def ask():
        transport = httpx.ASGITransport(create_app(settings, routers), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, **request)

    return asyncio.run(ask())


def code(answer):
    return answer.json()["error"]["code"]
