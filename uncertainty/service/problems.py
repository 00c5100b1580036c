"""The one shape of everything that a request is refused with."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from uncertainty.errors import printable

logger = logging.getLogger("uncertainty")
_LONGEST, _LONGEST_PATH = 300, 100
_PATH = re.compile(r"""(?<![\w.])(?:/(?:[^\s/'"]+/)+[^\s/'":,;)]*|[A-Za-z]:\\[^\s'"]*)""")


class ProblemDetail(BaseModel):
    """What was wrong with a request."""

    code: str = Field(description="A word for programs, which stays.", examples=["too_large"])
    message: str = Field(description="A sentence for people.", examples=["the body is larger than 20971520 bytes"])


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    error: ProblemDetail


class Refused(HTTPException):
    """A request that is not answered; `code` is for programs, `message` for people, `headers` go with the answer."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(status, detail=message, headers=named)
        self.code = code

    def response(self) -> JSONResponse:
        """Return it as an answer."""
        return problem(self.status_code, self.code, str(self.detail), dict(self.headers or {}))


def busy(code: str, message: str, seconds: float = 1.0) -> Refused:
    """Return a 503 that says when to come again.

    >>> busy("queue_full", "full", 1.2).headers
    {'Retry-After': '2'}
    """
    return Refused(503, code, message, Retry_After=str(max(1, int(-(-seconds // 1)))))


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an answer of this shape; `more` stands beside the error."""
    body = {"error": {"code": code, "message": message[:_LONGEST]}, **more}
    return JSONResponse(body, status, headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these statuses."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


def without_paths(text: str) -> str:
    """Return what somebody else's code says without the paths of this machine.

    >>> without_paths("the network fails on it: no file /srv/models/a.bin, nor 'C:\\\\srv\\\\b'; see 1/2")
    "the network fails on it: no file (a path), nor '(a path)'; see 1/2"
    """
    return _PATH.sub("(a path)", text)


def answer_problems(app: FastAPI) -> None:
    """Have everything that goes wrong answered in this shape, without a path, a stack trace or what was sent."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Refused):
        return error.response()
    status = getattr(error, "status_code", 500)
    phrase, headers = HTTPStatus(status).phrase, dict(getattr(error, "headers", None) or {})
    path = request.scope["path"]  # a URL that is parsed again loses line ends
    asked = f"{request.method} {printable(path)[:_LONGEST_PATH]}"
    advice = {
        404: f"there is no {asked}; /openapi.json tells what there is",
        405: f"there is no {asked}; send {headers.get('allow') or headers.get('Allow')}",
    }
    return problem(status, phrase.lower().replace(" ", "_"), advice.get(status, phrase), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    where = ".".join(str(part) for part in errors[0]["loc"])[:100] if errors else "request"
    what = errors[0]["msg"] if errors else "is not valid"
    return problem(422, "invalid", f"{where.encode('ascii', 'replace').decode()}: {what}")


async def _gone(request: Request, error: Exception) -> JSONResponse:
    return problem(400, "gone", "the connection ended before the request was whole")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("a request to %s failed: %s: %s", request.url.path, type(error).__name__, error)
    return problem(500, "internal", "this is a fault of the service; its log says more")
