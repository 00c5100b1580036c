"""Query parameters are those of the route, each once: one that is mistyped would be left out, and nobody told."""

from __future__ import annotations

from collections import Counter

from fastapi import Request

from uncertainty.errors import printable
from uncertainty.service.problems import Refused

_LONGEST = 50


async def known_parameters(request: Request) -> None:
    """Raise Refused, 422, for a query parameter that the route does not have, or that comes more than once."""
    if not request.scope["query_string"]:
        return
    known = _names_of(request)
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            has = ", ".join(known) or "none"
            raise Refused(422, "unknown_parameter", f"there is no parameter {printable(name)[:_LONGEST]!r}, but {has}")
        if times > 1:
            raise Refused(422, "repeated_parameter", f"{name} is there {times} times; give it once")


def _names_of(request: Request) -> list[str]:
    """Return the query parameters of a route, as its document tells them."""
    told = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    return [one["name"] for one in told.get("parameters", ()) if one["in"] == "query"]
