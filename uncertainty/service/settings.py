"""How a service is run, in frozen values that are checked when they are made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uncertainty.defaults import BATCH_SIZE, WORKERS
from uncertainty.errors import InputError
from uncertainty.screening.saved_screener import SavedScreener

_FEWEST = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _refuse_below(settings: object, **least: float) -> None:
    for name, value in least.items():
        given = getattr(settings, name)
        if not given >= value:
            raise InputError(f"{name} is {given}; it must be at least {value}")


@dataclass(frozen=True)
class Limits:
    """What a request may be at most; beyond it is a 4xx, or a 503 where others take the room.

    Parameters
    ----------
    body : bytes of one request.
    images : in one request.
    headers : bytes of a request's head, all its lines together.
    seconds : in which a request must have arrived, from its first byte to its last.
    bodies : bytes of all requests that are held at the same time.

    """

    body: int = 20 << 20
    images: int = 64
    headers: int = 16 << 10
    seconds: float = 30.0
    bodies: int = 256 << 20

    def __post_init__(self) -> None:
        _refuse_below(self, body=1, images=1, headers=1024, seconds=0.001, bodies=1)


@dataclass(frozen=True)
class Batching:
    """How images of different requests come to be judged together.

    Parameters
    ----------
    batch_size : images in one forward pass, at most.
    queue : images that were accepted and are not judged yet; who would exceed it gets 503 and is told when to come.
    wait : seconds that a decoded image waits for others that are being decoded, as many as fill a batch; for fewer it
        waits the less, and with none under way never.
    workers : threads that decode.

    """

    batch_size: int = BATCH_SIZE
    queue: int = 512
    wait: float = 0.005
    workers: int = WORKERS

    def __post_init__(self) -> None:
        _refuse_below(self, batch_size=1, queue=1, wait=0, workers=1)


@dataclass(frozen=True)
class ServiceSettings:
    """What is served, to whom.

    Parameters
    ----------
    screeners : by the name that requests call them; the first is meant where a request names none.
    host, port : where it listens; another interface than loopback takes a token.
    token : that every request must bear, but for /healthz and /readyz; None: none is asked for.
    hosts : names beside those of loopback and `host` by which the service may be called.
    allow_urls : whether requests may name images by URL.
    store : file of the verdicts that are kept; None: none are.
    window : newest verdicts that `/v1/monitor` looks at.
    reload_every : seconds between looks at whether a screener was replaced.
    monitor_every : seconds between the times that drift and accuracy are brought up to date in the metrics.

    Raises
    ------
    InputError : an interface that others reach without a token, a token that is short, a number out of range.

    >>> ServiceSettings(host="0.0.0.0")
    Traceback (most recent call last):
    uncertainty.errors.InputError: host '0.0.0.0' is reached from other machines; give a token too, or 127.0.0.1

    """

    screeners: Mapping[str, SavedScreener] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    allow_urls: bool = False
    store: Path | None = None
    window: int = 1000
    reload_every: float = 2.0
    monitor_every: float = 60.0
    batching: Batching = Batching()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise InputError(f"host {self.host!r} is reached from other machines; give a token too, or 127.0.0.1")
        if self.token is not None and (len(self.token) < _FEWEST or not self.token.isascii() or " " in self.token):
            raise InputError(f"the token must have at least {_FEWEST} characters, of ASCII without spaces")
        if not 0 <= self.port <= 65535:
            raise InputError(f"port is {self.port}; it must be in 0..65535")
        for name in self.screeners:
            if not _NAME.fullmatch(name):
                raise InputError(f"a screener can't be called {name!r}; use letters, digits, '.', '_' and '-'")
        _refuse_below(self, window=1, reload_every=0.01, monitor_every=0.01)
        if self.batching.queue < self.limits.images:
            raise InputError(f"queue is {self.batching.queue}; it must hold a request of {self.limits.images} images")

    @property
    def local(self) -> bool:
        """Whether nobody on another machine reaches it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone.

    >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
