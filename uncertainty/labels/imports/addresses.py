"""What an image may be called that labels know by an address."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from uncertainty.labels.imports.base import Annotation

_UPLOADED = re.compile(r"(?:^|/)data/upload/(?:[^/]+/)?[0-9a-f]{8}-([^/]+)$")


def endings(address: str) -> tuple[str, ...]:
    """Return what an image at this address may be called, the longest first.

    >>> endings("/data/local-files/?d=images/mon/a%20b.jpg")
    ('images/mon/a b.jpg', 'mon/a b.jpg', 'a b.jpg')
    """
    parts = _split(address)
    inner = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].strip("/")
    pieces = inner.split("/")
    return tuple("/".join(pieces[k:]) for k in range(len(pieces)))


def uploaded_name(address: str) -> str:
    """Return the name that a file had before it was dragged into Label Studio, which puts 8 signs before it; or "".

    >>> uploaded_name("/data/upload/3/8f1c2d3e-plain.png"), uploaded_name("/data/local-files/?d=a/plain.png")
    ('plain.png', '')
    """
    found = _UPLOADED.search(unquote(_split(address).path))
    return found[1] if found else ""


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # no URL, such as one with half a bracket
        return SplitResult("", "", address, "", "")


def _whole(address: str) -> tuple[str, ...]:
    """Return a URL as it stands and without what follows a question mark, such as a signature; nothing of a path.

    >>> _whole("https://host/a%20b.png?v=1"), _whole("/data/a.png")
    (('https://host/a%20b.png?v=1', 'https://host/a b.png'), ())
    """
    parts = _split(address)
    return (address, f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}") if "://" in address else ()


def at_address(address: str, label: str, annotator: str = "") -> Annotation:
    """Return an answer about the image at an address; the address itself is the first name.

    >>> at_address("gs://bucket/a/1.jpg", "cat").names
    ('gs://bucket/a/1.jpg', 'a/1.jpg', '1.jpg')
    """
    if uploaded := uploaded_name(address):
        return Annotation((endings(address)[-1], uploaded), label, annotator, uploaded=uploaded)
    names = dict.fromkeys((*_whole(address), *endings(address)))
    return Annotation(tuple(names), label, annotator, address=True)
