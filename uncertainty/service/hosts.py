"""Names of hosts as requests write them: with a port or none, in capitals, with the dot of the root at the end."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:]*)(?::([0-9]*))?")
_PORTS = {"http": 80, "https": 443}


def name_of(host: str) -> str:
    """Return the name in a Host header, without its port, as one spelling of it; what is none stays as it is.

    >>> name_of("LocalHost.:8000"), name_of("[0:0::1]:8000"), name_of("::1"), name_of("127.0.0.1:"), name_of("a:b")
    ('localhost', '::1', '::1', '127.0.0.1', 'a:b')
    """
    found = _HOST.fullmatch(host)
    name = found[1].lower().removesuffix(".") if found else host
    try:
        return str(ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        return name


def is_of(origin: str, host: str) -> bool:
    """Whether a page of this origin was read where a request goes; a port that is left out is that of the scheme.

    >>> is_of("https://a.example", "a.example:443"), is_of("http://a.example:81", "a.example"), is_of("null", "")
    (True, False, False)
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    found, usual = _HOST.fullmatch(host), _PORTS.get(parts.scheme)
    there = int(found[2] or usual or 0) if found and len(found[2] or "") <= len("65535") else None
    return bool(parts.netloc) and name_of(parts.netloc) == name_of(host) and (port or usual or 0) == there
