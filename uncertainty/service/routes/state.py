"""`/healthz`, `/readyz`, `/metrics`, `/v1/info`, `/v1/monitor` and `/session`: how the service is, and who may ask."""

from __future__ import annotations

import asyncio
import hmac
import platform
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from uncertainty.service.answers import document
from uncertainty.service.parameters import known_parameters
from uncertainty.service.parts import SharedParts
from uncertainty.service.problems import Refused, busy, responses
from uncertainty.service.screeners import Served
from uncertainty.service.security import COOKIE, session_of

router = APIRouter(tags=["service"])
_SHOWN_CLASSES = 1000


@router.get("/healthz", summary="Whether the process answers")
async def healthz() -> dict[str, str]:
    """Return ok; it needs no token."""
    return {"status": "ok"}


@router.get("/readyz", responses=responses(503), summary="Whether images are judged")
async def readyz(parts: SharedParts) -> dict[str, str]:
    """Return ok while images are accepted; it needs no token."""
    full = [one.name for one in parts.screeners.all() if one.lane.pending >= one.lane.batching.queue]
    if parts.ending or full:
        raise busy("not_ready", "the service ends" if parts.ending else "the queue is full")
    return {"status": "ok"}


@router.get("/metrics", response_class=Response, responses=responses(401), summary="Counters for Prometheus")
async def metrics(parts: SharedParts) -> Response:
    """Return all counters in the text format of Prometheus."""
    return Response(generate_latest(parts.metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


@router.get("/v1/info", responses=responses(401), summary="What is served")
async def info(parts: SharedParts) -> dict[str, Any]:
    """Return artifacts, policies, calibration, limits and runtime."""
    s = parts.settings
    return {
        "version": version("uncertainty-vision"),
        "screeners": [_about(one) for one in parts.screeners.all()],
        "limits": {"body": s.limits.body, "images": s.limits.images, "seconds": s.limits.seconds},
        "batching": {"batch_size": s.batching.batch_size, "queue": s.batching.queue, "wait": s.batching.wait},
        "urls": s.allow_urls,
        "keeps": parts.store is not None,
        "runtime": {"python": platform.python_version(), "torch": version("torch"), "machine": platform.machine()},
    }


def _about(served: Served) -> dict[str, Any]:
    screener = served.lane.screener
    return {
        "name": served.name,
        "screen_id": screener.id,
        "model_sha256": screener.model.sha256,
        "task": screener.model.task,
        "classes": list(screener.model.classes[:_SHOWN_CLASSES]),
        "number_of_classes": len(screener.model.classes),
        "policy": str(screener.decision.policy),
        "threshold": None if screener.decision.policy.per_class else screener.threshold,
        "in_words": screener.describe(),
        "estimators": [one.name for one in screener.estimators],
        "cascade": screener.cascade is not None,
        "loaded_at": served.loaded_at,
        "stale": served.stale,
        "waiting": served.lane.pending,
    }


@router.get(
    "/v1/monitor",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **responses(401, 404, 422)},
    summary="Drift, and accuracy without labels",
    dependencies=[Depends(known_parameters)],
)
async def monitor(
    parts: SharedParts, screener: Annotated[str | None, Query(max_length=64, description="Default: the first.")] = None
) -> Response:
    """Return what `uncertainty monitor` says of the newest images, as values and in words."""
    return document(await asyncio.to_thread(parts.screeners.get(screener).window.found))


@router.post("/session", status_code=204, responses=responses(400, 401, 403, 413, 422), summary="Let a browser in")
async def session(request: Request, parts: SharedParts) -> Response:
    """Give a browser that sends the token, as the body, a cookie in its place; for pages, which bear no header."""
    token = parts.settings.token
    given = (await request.body()).strip()
    if token is None:
        return Response(status_code=204)
    if not hmac.compare_digest(given, token.encode()):
        raise Refused(401, "wrong_token", "this is not the token", WWW_Authenticate="Bearer")
    answer = Response(status_code=204)
    answer.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer
