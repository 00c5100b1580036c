"""`POST /v1/screen` and `POST /v1/explain`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from uncertainty.images.previews import webp_uri
from uncertainty.report.thumbnails import thumbnail
from uncertainty.service.answers import rows_answer
from uncertainty.service.parameters import known_parameters
from uncertainty.service.parts import Parts, SharedParts
from uncertainty.service.problems import Refused, responses
from uncertainty.service.received import parts_of
from uncertainty.service.routes.examples import BODIES, EXPLANATIONS, ROWS
from uncertainty.service.verdict_store import Origin, digest_of_body

router = APIRouter(tags=["images"], dependencies=[Depends(known_parameters)])
_REFUSALS = (400, 401, 403, 404, 408, 413, 415, 421, 422, 431, 503)
_LONGEST_KEY = 255

ScreenerName = Annotated[
    str | None, Query(alias="screener", max_length=64, description="Name of the screener; default: the first.")
]
ImageName = Annotated[
    str | None,
    Query(alias="name", max_length=255, description="Of the image that is the body; default: a digest of its bytes."),
]


@router.post(
    "/v1/screen",
    response_class=Response,
    responses={200: ROWS, **responses(*_REFUSALS, 409, 507)},
    openapi_extra={"requestBody": BODIES},
    summary="Judge one or many images",
)
async def screen(
    request: Request,
    parts: SharedParts,
    screener: ScreenerName = None,
    name: ImageName = None,
    keep: Annotated[bool, Query(description="Keep the verdicts in the store of the service.")] = False,
    thumbnails: Annotated[bool, Query(description="Add a small picture to each row, as a data URL.")] = False,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=_LONGEST_KEY,
            description="With keep: the same key again is answered by what was kept.",
        ),
    ] = None,
) -> Response:
    """Return for each image the row that `uncertainty screen` writes; `rank` counts within the request.

    An image that can't be read is a row with `error`; where that are all, the answer is 422. Accept
    `application/x-ndjson` to get a line a row.
    """
    parts.screeners.get(screener)
    if keep and parts.store is None:
        raise Refused(409, "no_store", "this service keeps no verdicts; start it with --store")
    if idempotency_key is not None and not keep:
        raise Refused(422, "key_without_keep", "an idempotency key is for keep=true")
    given = await parts_of(request, parts.settings, name)
    origin = _origin(parts.screeners.get(screener).name, idempotency_key, given)
    rows = await _kept_before(parts, origin)
    if rows is None:
        rows = await _judged(parts, origin, given, keep=keep)
    if thumbnails:
        rows = await _with_thumbnails(parts, rows, given)
    return rows_answer(request, rows, screener=origin.screener, screen_id=rows[0]["screen_id"])


@router.post(
    "/v1/explain",
    response_class=Response,
    responses={200: EXPLANATIONS, **responses(*_REFUSALS)},
    openapi_extra={"requestBody": BODIES},
    summary="Say of images why they are flagged or not",
)
async def explain(
    request: Request, parts: SharedParts, screener: ScreenerName = None, name: ImageName = None
) -> Response:
    """Return for each image what `uncertainty explain` says of it, as values and in words."""
    parts.screeners.get(screener)
    given = await parts_of(request, parts.settings, name)
    items = await parts.fetching.items(given)
    served = parts.screeners.get(screener)
    found = await asyncio.wrap_future(served.lane.submit(items, explain=True))
    return rows_answer(request, found.rows, screener=served.name, screen_id=served.lane.screener.id)


def _origin(screener: str, key: str | None, given: list[tuple[str, bytes | str]]) -> Origin:
    if key is None:
        return Origin(screener, None, "")
    sent = [part if isinstance(part, bytes) else part.encode() for pair in given for part in pair]
    return Origin(screener, key, digest_of_body([screener.encode(), *sent]))


async def _kept_before(parts: Parts, origin: Origin) -> list[dict[str, Any]] | None:
    if origin.key is None or parts.store is None:
        return None
    return await asyncio.to_thread(parts.store.under_key, origin)


async def _judged(
    parts: Parts, origin: Origin, given: list[tuple[str, bytes | str]], *, keep: bool
) -> list[dict[str, Any]]:
    items = await parts.fetching.items(given)
    judged = await asyncio.wrap_future(parts.screeners.get(origin.screener).lane.submit(items))
    if not keep or parts.store is None:
        return judged.rows
    rows = await asyncio.wrap_future(parts.store.keep(judged, origin))
    parts.metrics.kept.inc(len(rows))
    return rows


async def _with_thumbnails(
    parts: Parts, rows: list[dict[str, Any]], given: list[tuple[str, bytes | str]]
) -> list[dict[str, Any]]:
    """Add pictures to the rows that could be read and whose bytes the request brought."""
    loop = asyncio.get_running_loop()
    made = []
    for row, (_, data) in zip(rows, given, strict=True):
        picture = None
        if row["error"] is None and isinstance(data, bytes):
            picture = await loop.run_in_executor(parts.pictures, _picture, data)
        made.append(row | {"thumbnail": picture})
    return made


def _picture(data: bytes) -> str | None:
    found = thumbnail(data).data
    return webp_uri(found) if found else None
