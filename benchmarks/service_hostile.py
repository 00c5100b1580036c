"""Hostile requests, by the hundred: files that lie, bodies that are none, heads too long, senders that stop."""

from __future__ import annotations

import http.client
import io
import random
import socket
from collections.abc import Callable, Iterator

from PIL import Image

Place = tuple[str, int]
Request = Callable[[Place], str]
"""Sends itself to a place; returns the status, or how the connection ended."""

JPEG = "image/jpeg"
_SECONDS = 30


def hostile_requests(seed: int, count: int) -> Iterator[Request]:
    """Yield so many of them, in an order that the seed tells."""
    rng = random.Random(seed)
    kinds = [_lying_file, _odd_body, _odd_query, _odd_head, _raw, _unfinished, _many_parts]
    for _ in range(count):
        yield rng.choice(kinds)(rng)


def _picture(rng: random.Random, kind: str) -> bytes:
    buffer = io.BytesIO()
    size = (rng.randint(1, 60), rng.randint(1, 60))
    Image.new("RGB", size, (rng.randint(0, 255), 0, 0)).save(buffer, kind)
    return buffer.getvalue()


def _lying_file(rng: random.Random) -> Request:
    """Cut, changed, or with a size of its own invention."""
    data = bytearray(_picture(rng, rng.choice(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])))
    how = rng.randrange(4)
    if how == 0:
        data = data[: rng.randrange(len(data))]
    elif how == 1:
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif how == 2:
        data = bytearray(_picture(rng, "PNG"))
        data[16:24] = rng.choice([b"\xff" * 8, b"\x00\x01\x86\xa0" * 2, b"\x7f\xff\xff\xff\x00\x00\x00\x01"])
    else:
        data = bytearray(rng.randbytes(rng.randrange(2000)))
    return _sent("POST", "/v1/screen", bytes(data), {"Content-Type": JPEG})


def _odd_body(rng: random.Random) -> Request:
    kind, body = rng.choice(
        [
            ("text/html", b"<script>alert(1)</script>"),
            ("application/json", b"[" * 50_000),
            ("application/json", b'{"urls": ["http://127.0.0.1:22/", "http://169.254.169.254/"]}'),
            ("application/json", b'{"urls": "\xff\xfe"}'),
            ("multipart/form-data", b"--x"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"),
            ("multipart/form-data; boundary=x", _part(rng.choice(["../../a", "/etc/passwd", "a\x07b", "\u202e"]))),
            ("multipart/form-data; boundary=x; charset=utf-7", _part("+ADw-script+AD4-")),
            ("\xff\xfe", b"x"),
            (JPEG, bytes(21 << 20) if rng.random() < 0.02 else b""),
        ]
    )
    return _sent("POST", "/v1/screen", body, {"Content-Type": kind})


def _part(name: str) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="i"; filename="{name}"\r\n\r\n'
    return head.encode() + b"x\r\n--x--\r\n"


def _odd_query(rng: random.Random) -> Request:
    path = rng.choice(
        [
            "/v1/screen?name=%00",
            "/v1/screen?name=..%2F..%2Fetc%2Fpasswd",
            "/v1/screen?name=%ff%fe",
            "/v1/screen?screener=..%2F..",
            "/v1/screen?keep=maybe",
            "/v1/screen?" + "a=b&" * 2000,
            "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/v1/verdicts?limit=99999999999999999999999",
        ]
    )
    return _sent("POST", path, b"x", {"Content-Type": JPEG})


def _odd_head(rng: random.Random) -> Request:
    headers = rng.choice(
        [
            {"X-Long": "y" * rng.randrange(20_000, 200_000)},
            {f"X-{k}": "y" for k in range(3000)},
            {"Host": "evil.example"},
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Authorization": "Bearer \xff"},
            {"Cookie": "a=" + "b" * 10_000},
            {"Idempotency-Key": "k" * 300},
        ]
    )
    return _sent("POST", "/v1/screen", b"no image", {"Content-Type": JPEG, **headers})


def _raw(rng: random.Random) -> Request:
    data = rng.choice(
        [
            b"\x16\x03\x01" + rng.randbytes(200) + b"\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
            b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"\r\n\r\n\r\n" + rng.randbytes(100) + b"\r\n\r\n",
        ]
    )
    return lambda place: _exchanged(place, data)


def _unfinished(rng: random.Random) -> Request:
    """Hang up before the body is whole."""
    head = f"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JPEG}\r\nContent-Length: 5000\r\n\r\n"
    data = head.encode()[: rng.randrange(10, len(head))] if rng.random() < 0.5 else head.encode() + rng.randbytes(100)

    def send(place: Place) -> str:
        with socket.create_connection(place, timeout=_SECONDS) as connection:
            connection.sendall(data)
        return "hung up"

    return send


def _many_parts(rng: random.Random) -> Request:
    one = b'--x\r\nContent-Disposition: form-data; name="i"; filename="a.jpg"\r\n\r\nx\r\n'
    body = one * rng.choice([65, 1001, 10_000]) + b"--x--\r\n"
    return _sent("POST", "/v1/screen", body, {"Content-Type": "multipart/form-data; boundary=x"})


def _sent(method: str, path: str, body: bytes, headers: dict[str, str]) -> Request:
    def send(place: Place) -> str:
        connection = http.client.HTTPConnection(*place, timeout=_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (ConnectionError, http.client.HTTPException):
            return "closed"
        except TimeoutError:
            return "5xx: no answer"
        finally:
            connection.close()
        leaks = b"Traceback" in text or b"site-packages" in text
        return "5xx: it leaks" if leaks else str(answer.status)

    return send


def _exchanged(place: Place, data: bytes) -> str:
    with socket.create_connection(place, timeout=_SECONDS) as connection:
        try:
            connection.sendall(data)
            answer = connection.recv(1 << 16)
        except ConnectionError:
            return "closed"
        except TimeoutError:
            return "5xx: no answer"
    return answer[9:12].decode("latin-1") or "closed"
