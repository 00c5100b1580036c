"""Images at URLs that a request names: fetched from public addresses alone, within bounds."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from uncertainty.classifiers.base import ArrayItem
from uncertainty.errors import ImageError
from uncertainty.service.problems import busy

_PORTS = {"http": 80, "https": 443}
_CHUNK = 1 << 16
_LONGEST_URL = 2048
_THREADS, _MOST_WAITING = 8, 256
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, whatever it is wrapped in.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::1")]
    [True, False, False, False]
    >>> [is_public(ipaddress.ip_address(text)) for text in ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::")]
    [False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast


@dataclass(frozen=True)
class Fetcher:
    """Fetches what a URL leads to. The address that was looked at is the one that is connected to; nothing redirects.

    Parameters
    ----------
    most : bytes of an image.
    seconds : for looking up, connecting and reading together.
    allowed : which addresses may be connected to.
    any_port : whether other ports than those of http and https may.

    """

    most: int
    seconds: float = 10.0
    allowed: Callable[[Address], bool] = is_public
    any_port: bool = False

    def fetch(self, url: str) -> bytes:
        """Return the bytes at a URL; ImageError says why not, and never what a private address answered."""
        parts = self._parts(url)
        port = _port_of(parts) or _PORTS[parts.scheme]
        if not self.any_port and port not in _PORTS.values():
            raise ImageError(f"can't be fetched (port {port} is not allowed)")
        until = time.monotonic() + self.seconds
        address = self._address(str(parts.hostname), port)
        try:
            return self._read(parts, address, port, until)
        except ImageError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = time.monotonic() >= until or isinstance(error, TimeoutError)
            raise ImageError(f"can't be fetched ({'it takes too long' if late else 'no answer'})") from error

    def _parts(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _port_of(parts)
        except ValueError as error:
            raise ImageError("is not a URL") from error
        if parts.scheme not in _PORTS or not parts.hostname or len(url) > _LONGEST_URL or not url.isprintable():
            raise ImageError("is not a URL of http or https")
        if parts.username is not None or parts.password is not None:
            raise ImageError("can't be fetched (its URL holds a user name)")
        return parts

    def _address(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ImageError("can't be fetched (there is no such host)") from error
        addresses = [str(one[4][0]) for one in found]
        # One private address among public ones is how a name gets past a check that looks at the first alone.
        if not addresses or not all(self.allowed(ipaddress.ip_address(one.partition("%")[0])) for one in addresses):
            raise ImageError("can't be fetched (its host is not a public one)")
        return addresses[0]

    def _read(self, parts: SplitResult, address: str, port: int, until: float) -> bytes:
        connection = _Pinned(str(parts.hostname), port, address, tls=parts.scheme == "https", seconds=self.seconds)
        try:
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
            query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
            connection.request("GET", path + query, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if 300 <= answer.status < 400:
                raise ImageError(f"can't be fetched (it is elsewhere, status {answer.status}, which is not followed)")
            if answer.status != 200:
                raise ImageError(f"can't be fetched (status {answer.status})")
            return self._body(answer, until)
        finally:
            connection.close()

    def _body(self, answer: Any, until: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := answer.read1(_CHUNK):
            size += len(chunk)
            if size > self.most:
                raise ImageError(f"is larger than {self.most} bytes")
            if time.monotonic() > until:
                raise ImageError("can't be fetched (it takes too long)")
            parts.append(chunk)
        return b"".join(parts)


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, in the name of a host: whatever the name means a moment later."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._to, self._tls = address, tls

    def connect(self) -> None:
        """Connect to the address, and ask a TLS server for the certificate of the host."""
        self.sock = socket.create_connection((self._to, self.port), self.timeout)
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _port_of(parts: SplitResult) -> int | None:
    """Return the port of a URL; ValueError for one that is none."""
    return parts.port


def shown(url: str) -> str:
    """Return a URL without what may be secret in it: its query and who asks.

    >>> shown("https://a:b@example.org/1.jpg?key=secret#x")
    'https://example.org/1.jpg'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "url"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Fetching:
    """Threads that fetch, apart from those that decode: a host that is slow keeps nobody else waiting."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.fetcher = fetcher
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")
        self._waiting = 0

    async def items(self, parts: Sequence[tuple[str, bytes | str]]) -> list[ArrayItem]:
        """Return images by name, from their bytes or URLs; one that can't be fetched is an error of that image.

        Refused, 503, where too many are being fetched.
        """
        urls = [data for _, data in parts if isinstance(data, str)]
        if self._waiting + len(urls) > _MOST_WAITING:
            raise busy("fetching", "many images are being fetched already", self.fetcher.seconds)
        self._waiting += len(urls)
        try:
            loop = asyncio.get_running_loop()
            fetched = await asyncio.gather(*(loop.run_in_executor(self._threads, self._fetched, url) for url in urls))
        finally:
            self._waiting -= len(urls)
        answers = iter(fetched)
        return [ArrayItem(name, data if isinstance(data, bytes) else next(answers)) for name, data in parts]

    def _fetched(self, url: str) -> bytes | ImageError:
        try:
            return self.fetcher.fetch(url)
        except ImageError as error:
            return error

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)
