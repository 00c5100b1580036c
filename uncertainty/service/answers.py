"""Rows as an answer: one JSON document, or a line a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from uncertainty.files import plain
from uncertainty.service.problems import problem

NDJSON = "application/x-ndjson"


def wants_lines(request: Request) -> bool:
    """Whether a client asks for a line a row."""
    return NDJSON in ",".join(request.headers.getlist("accept")).lower()


def encoded(value: Any) -> str:
    """Return JSON; numbers that it does not have are null.

    >>> encoded({"a": float("nan"), "b": "é"})
    '{"a": null, "b": "é"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(plain(value), ensure_ascii=False)


def document(value: Any) -> Response:
    """Return a JSON document as an answer."""
    return Response(encoded(value), media_type="application/json")


def rows_answer(request: Request, rows: Sequence[Mapping[str, Any]], **about: Any) -> Response:
    """Return rows, with what is said about all of them where they are one document.

    Where not one of them could be read, which sending them again would not change, that is a 422 with the rows.
    """
    if all(row["error"] is not None for row in rows):
        first = f"{len(rows)} of {len(rows)} images can't be judged; the first {rows[0]['error']}"
        return problem(422, "unreadable", first, rows=plain(rows), **about)
    if wants_lines(request):
        return Response("".join(f"{encoded(row)}\n" for row in rows), media_type=NDJSON)
    return document({**about, "rows": rows})
