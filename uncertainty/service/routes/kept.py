"""`/v1/verdicts`: what is kept, filtered, and as a table that every command reads."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from uncertainty.errors import InputError
from uncertainty.service.answers import NDJSON, document, encoded, wants_lines
from uncertainty.service.parameters import known_parameters
from uncertainty.service.parts import SharedParts
from uncertainty.service.problems import Refused, responses
from uncertainty.service.verdict_store import VerdictStore, Wanted

router = APIRouter(tags=["kept"], dependencies=[Depends(known_parameters)])
_MOST = 10_000
_LATEST = 1 << 62
_OBJECT = {"application/json": {"schema": {"type": "object"}}}

Seconds = Annotated[float | None, Query(description="Seconds since 1970.", ge=0, le=1e11)]


async def wanted(
    screener: Annotated[str | None, Query(max_length=64)] = None,
    screen_id: Annotated[str | None, Query(max_length=64, description="Which artifact judged.")] = None,
    flagged: bool | None = None,
    since: Seconds = None,
    until: Seconds = None,
    file_name: Annotated[str | None, Query(max_length=255)] = None,
) -> Wanted:
    """Return which verdicts a request asks for."""
    return Wanted(screener, screen_id, flagged, since, until, file_name)


Filter = Annotated[Wanted, Depends(wanted)]


async def _store(parts: SharedParts) -> VerdictStore:
    if parts.store is None:
        raise Refused(409, "no_store", "this service keeps no verdicts; start it with --store")
    return parts.store


Store = Annotated[VerdictStore, Depends(_store)]


class MadeFile(FileResponse):
    """A file that was made for one answer: removed after it, whatever becomes of it.

    It is sent whole, since the next request gets another one: parts of two would be no table.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send and remove it."""
        whole = [(name, value) for name, value in scope["headers"] if name not in (b"range", b"if-range")]
        try:
            await super().__call__({**scope, "headers": whole}, receive, send)
        finally:
            Path(self.path).unlink(missing_ok=True)


@router.get(
    "/v1/verdicts",
    response_class=Response,
    responses={200: {"content": {**_OBJECT, NDJSON: {"schema": {"type": "string"}}}}, **responses(401, 409, 422, 503)},
    summary="Verdicts that are kept",
)
async def verdicts(
    request: Request,
    store: Store,
    which: Filter,
    after: Annotated[int, Query(ge=0, le=_LATEST, description="The last id seen.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
) -> Response:
    """Return verdicts in the order of their keeping, page by page: `next` is the `after` of the next page."""
    page = Wanted(**{**vars(which), "after": after, "limit": limit})
    rows = await asyncio.to_thread(store.rows, page)
    if wants_lines(request):
        return Response("".join(f"{encoded(row)}\n" for row in rows), media_type=NDJSON)
    return document({"verdicts": rows, "next": rows[-1]["id"] if len(rows) == limit else None})


@router.get(
    "/v1/verdicts.parquet",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        **responses(401, 404, 409, 422, 503, 507),
    },
    summary="Kept verdicts as verdicts.parquet",
)
async def parquet(store: Store, which: Filter) -> MadeFile:
    """Return the verdicts of one artifact, the newest where none is named, ranked among themselves.

    The newest verdict of an image counts; pictures that differ and have one name get their digest into it.
    """
    path = await asyncio.to_thread(_exported, store, which)
    whole = {"accept-ranges": "none"}
    return MadeFile(path, headers=whole, media_type="application/octet-stream", filename="verdicts.parquet")


def _exported(store: VerdictStore, which: Wanted) -> Path:
    try:
        handle, name = tempfile.mkstemp(suffix=".parquet")
        os.close(handle)
        try:
            store.export(Path(name), which)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, InputError) as error:
        raise Refused(507, "no_space", "there is no room for the table") from error
    return Path(name)
