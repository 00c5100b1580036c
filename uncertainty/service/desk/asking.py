"""What every route of the desk asks first, and how what the desk raises is answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from fastapi import Cookie, Path
from fastapi.responses import HTMLResponse

from uncertainty.errors import ImageError, InputError
from uncertainty.service.desk.desk import Desk, TakenError
from uncertainty.service.desk.pages import POLICY
from uncertainty.service.desk.turns import Person
from uncertainty.service.problems import Refused

PERSON = "uncertainty_desk"
"""Cookie that tells who is at a desk."""
Token = Annotated[str, Cookie(alias=PERSON, max_length=100)]
Item = Annotated[int, Path(ge=0, le=2**31)]


def answered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what the desk raises into the right answer; what is not on the disk is never called saved."""

    @wraps(function)
    def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TakenError as error:
            raise Refused(409, "taken", "somebody else has this image now, or has answered it") from error
        except ImageError as error:
            raise Refused(404, "no_picture", f"the image {error}") from error
        except InputError as error:
            raise Refused(422, "invalid", str(error)) from error

    return answering


def known(desk: Desk, token: str) -> Person:
    """Return who has a token; Refused where nobody has."""
    who = desk.person(token)
    if who is None:
        raise Refused(401, "no_name", "say who you are first, at /desk")
    return who


def html(text: str, status: int = 200) -> HTMLResponse:
    """Return a page as an answer, under a policy by which nothing in it runs."""
    # Without a referrer a browser would not say either that a form is sent from here.
    return HTMLResponse(text, status, {"content-security-policy": POLICY, "referrer-policy": "same-origin"})
