"""Requests from one thread: over raw sockets, so that the load costs little of what it is to measure.

An open loop sends each request at a moment of its own, whatever became of those before it, and counts from that moment;
a closed loop sends the next one on a connection once the last was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Place = tuple[str, int]


class Arrivals(StrEnum):
    """When requests of an open loop come: by chance (a Poisson process), or evenly."""

    POISSON = "poisson"
    UNIFORM = "uniform"

    def gaps(self, rate: float, seed: int) -> Iterator[float]:
        """Yield seconds from each request to the next, without end."""
        rng = random.Random(seed)
        while True:
            yield rng.expovariate(rate) if self is Arrivals.POISSON else 1 / rate


@dataclass
class Answers:
    """How requests were answered, a status and seconds each; `late` is how late the load itself sent them."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def rate(self) -> float:
        """Successes a second."""
        return self.statuses.count(200) / self.lasted


def post(path: str, body: bytes, kind: str = "image/jpeg") -> bytes:
    """Return a request as it goes over the wire.

    >>> post("/a", b"xy").endswith(bytes([13, 10, 13, 10]) + b"xy")
    True
    """
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One connection that is kept alive, with one request at a time."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0 or self._answered is None:
            return
        head = bytes(self._got[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._got) >= end + 4 + length:
            self._got.clear()
            self._answered.set_result(int(head.split(b" ", 2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the service hung up"))

    async def send(self, request: bytes) -> int:
        """Send a request; return the status once the whole answer is there; ConnectionError where nobody listens."""
        if self.lost:
            raise ConnectionError("the service hung up")
        self._answered = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def _connected(place: Place) -> _Connection:
    return (await asyncio.get_running_loop().create_connection(_Connection, *place))[1]


def closed_loop(place: Place, requests: Sequence[bytes], connections: int, seconds: float | None = None) -> Answers:
    """Send requests over so many connections, again and again for so many seconds, or each of them once."""
    return asyncio.run(_closed(place, requests, connections, seconds))


async def _closed(place: Place, requests: Sequence[bytes], connections: int, seconds: float | None) -> Answers:
    answers, left = Answers(), iter(requests if seconds is None else itertools.cycle(requests))
    begun = time.perf_counter()
    until = begun + (seconds or float("inf"))

    async def work() -> None:
        connection = await _connected(place)
        while time.perf_counter() < until and (request := next(left, None)) is not None:
            sent = time.perf_counter()
            answers.statuses.append(await connection.send(request))
            answers.seconds.append(time.perf_counter() - sent)
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    answers.lasted = time.perf_counter() - begun
    return answers


def open_loop(
    place: Place, requests: Sequence[bytes], rate: float, seconds: float, arrivals: Arrivals = Arrivals.POISSON
) -> Answers:
    """Send so many requests a second for so many seconds; each takes a free connection, or a new one."""
    return asyncio.run(_open(place, requests, arrivals.gaps(rate, 0), seconds))


async def _open(place: Place, requests: Sequence[bytes], gaps: Iterator[float], seconds: float) -> Answers:
    answers, loop = Answers(), asyncio.get_running_loop()
    free = [await _connected(place) for _ in range(8)]
    sending: set[asyncio.Task[None]] = set()

    async def one(request: bytes, due: float) -> None:
        connection, late = free.pop() if free else await _connected(place), loop.time() - due
        try:
            status = await connection.send(request)
        except ConnectionError:  # it was idle for as long as the service keeps such, as clients must expect
            connection = await _connected(place)
            status = await connection.send(request)
        answers.late.append(late)
        answers.statuses.append(status)
        answers.seconds.append(loop.time() - due)
        free.append(connection)

    begun = due = loop.time()
    for request in itertools.cycle(requests):
        due += next(gaps)
        if due > begun + seconds:
            break
        await asyncio.sleep(max(0.0, due - loop.time()))
        task = asyncio.create_task(one(request, due))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)
    answers.lasted = loop.time() - begun
    for connection in free:
        connection.close()
    return answers
