"""An application on a socket: with time limits for slow heads, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from uncertainty.errors import in_one_line
from uncertainty.service.garbage import apart_from_what_stays
from uncertainty.service.problems import problem
from uncertainty.service.settings import ServiceSettings

_BACKLOG = 1024
_GRACE = 30
"""Seconds for what was accepted, once the service is told to end."""
_SWITCH = 0.0005
"""Seconds after which Python takes turns between threads: a request goes through three, and each may find that the one
of the network has just begun its turn, which is ten times as long by default."""


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that hangs up where the head of a request does not come; uvicorn alone waits for ever."""

    head_seconds = 10.0
    _until: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a head is whole; of the next request the wait begins with its first byte."""
        if self._until is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no HTTP; a request that they belong to is over, and nothing more is sent for it."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        status, answer = self._no_request(sys.exception())
        headers = {"content-type": "application/json", "content-length": str(len(answer)), "connection": "close"}
        told = h11.Response(status_code=status, headers=list(headers.items()), reason=HTTPStatus(status).phrase)
        for event in (told, h11.Data(data=answer), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _no_request(self, error: BaseException | None) -> tuple[int, bytes]:
        if (
            isinstance(error, h11.RemoteProtocolError)
            and error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        ):
            most = self.config.h11_max_incomplete_event_size
            return 431, bytes(problem(431, "headers_too_large", f"the head is longer than {most} bytes").body)
        why = f" ({in_one_line(error)})" if error is not None else ""
        words = f"these bytes are no request of HTTP/1.1{why}; let a library write it, or curl"
        return 400, bytes(problem(400, "bad_request", words).body)

    def _wait(self) -> None:
        self._until = self.loop.call_later(self.head_seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None

    def _hang_up(self) -> None:
        self._until = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def server_of(app: FastAPI, settings: ServiceSettings) -> uvicorn.Server:
    """Return a server of one process, which `run` runs; its metrics and its queue are those of all requests."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=TimedProtocol,
        ws="none",
        loop="asyncio",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=settings.limits.headers,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config)


def run(app: FastAPI, settings: ServiceSettings, *, ready: Any = None) -> None:
    """Listen until a signal ends it; `ready` is called with the server's URL once it listens.

    Raises InputError where the port is taken.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for each odd byte that a client sends
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        with apart_from_what_stays():
            asyncio.run(_serve(app, settings, ready))
    finally:
        sys.setswitchinterval(before)


async def _serve(app: FastAPI, settings: ServiceSettings, ready: Any) -> None:
    import socket

    from uncertainty.errors import InputError

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends at once where the protocol is named; else a body waits until its head was acknowledged.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host.strip("[]"), settings.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        where = f"{settings.host}:{settings.port}"
        raise InputError(f"can't listen at {where}: {error.strerror or error}; give another --port") from error
    if ready is not None:
        host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
        ready(f"http://{host}:{listening.getsockname()[1]}")
    await server_of(app, settings).serve(sockets=[listening])
