"""The desk over HTTP: pages for people, JSON for their script; a client names an image by its number alone."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Form, Path, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from uncertainty.errors import ImageError, InputError, MissingDependencyError, UncertaintyError
from uncertainty.service.desk.answers import Kind
from uncertainty.service.desk.desk import Desk, TakenError
from uncertainty.service.desk.figures import figures, headline
from uncertainty.service.desk.labels_file import labels_table
from uncertainty.service.desk.pages import POLICY, asset, page
from uncertainty.service.desk.turns import How, Person
from uncertainty.service.desk.updating import Done, Updating
from uncertainty.service.problems import Refused, busy

PERSON = "uncertainty_desk"
"""Cookie that tells who is at a desk."""
AHEAD = 4
"""Images that a page has at hand: the one that is looked at, and the next ones."""
Token = Annotated[str, Cookie(alias=PERSON, max_length=100)]
Item = Annotated[int, Path(ge=0, le=2**31)]
_MOST_CLASSES = 10_000
_INSIDE = "data:image/webp;base64,"


class Said(BaseModel):
    """An answer as the page sends it: the image by its number, classes by their positions."""

    model_config = ConfigDict(extra="forbid")
    item: int = Field(ge=0, le=2**31)
    kind: Kind
    classes: list[int] = Field(default_factory=list, max_length=_MOST_CLASSES)
    how: How = How.RANKED
    seconds: float | None = Field(default=None, ge=0, le=1e7, allow_inf_nan=False)


def desk_router(desk: Desk) -> APIRouter:
    """Return the routes of a desk, all below `/desk`."""
    router = APIRouter(prefix="/desk", include_in_schema=False)
    updating = Updating(desk)
    _add_pages(router, desk)
    _add_script(router, desk)
    _add_looks(router, desk)
    _add_update(router, desk, updating)
    return router


def _answered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what the desk raises into the right answer; what is not on the disk is never called saved."""

    @wraps(function)
    def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TakenError as error:
            raise Refused(409, "taken", "somebody else has this image now, or has answered it") from error
        except sqlite3.Error as error:
            raise busy("not_saved", "the labels can't be written at the moment; nothing was saved") from error
        except ImageError as error:
            raise Refused(404, "no_picture", f"the image {error}") from error
        except InputError as error:
            raise Refused(422, "invalid", str(error)) from error

    return answering


def _known(desk: Desk, token: str) -> Person:
    who = desk.person(token)
    if who is None:
        raise Refused(401, "no_name", "say who you are first, at /desk")
    return who


def _html(text: str, status: int = 200) -> HTMLResponse:
    # Without a referrer a browser would not say either that a form is sent from here.
    return HTMLResponse(text, status, {"content-security-policy": POLICY, "referrer-policy": "same-origin"})


def _add_pages(router: APIRouter, desk: Desk) -> None:
    @router.get("", response_class=HTMLResponse)
    @_answered
    def review(token: Token = "") -> Response:
        who = desk.person(token)
        if who is None:
            return _html(page("name.html", error=None))
        vocabulary = desk.vocabulary
        data = {
            "counts": {"labelled": 0},
            "classes": list(vocabulary.classes),
            "several": vocabulary.task == "multilabel",
            "looks": desk.looks is not None,
        }
        notes = desk.notes + ([] if desk.shown.anywhere else ["The images are not where they were screened."])
        return _html(page("review.html", data=data, annotator=who.annotator, notes=notes))

    @router.post("/name", response_class=HTMLResponse)
    @_answered
    def name(annotator: Annotated[str, Form(max_length=500)]) -> Response:
        try:
            token = desk.sign_in(annotator)
        except InputError as error:
            return _html(page("name.html", error=str(error)), 422)
        found = RedirectResponse("/desk", 303)
        found.set_cookie(PERSON, token, max_age=30 * 86_400, path="/desk", httponly=True, samesite="strict")
        return found

    @router.post("/leave", response_class=HTMLResponse)
    def leave() -> Response:
        found = RedirectResponse("/desk", 303)
        found.delete_cookie(PERSON, path="/desk")
        return found

    @router.get("/progress", response_class=HTMLResponse)
    @_answered
    def progress(token: Token = "") -> Response:
        if desk.person(token) is None:
            return RedirectResponse("/desk", 303)
        return _html(page("progress.html", updates=desk.settings.saved is not None, **figures(desk)))

    @router.get("/labels.csv")
    @_answered
    def labels(token: Token = "") -> Response:
        _known(desk, token)
        return Response(csv_of(desk), media_type="text/csv; charset=utf-8", headers=_NAMED)

    @router.get("/assets/{name:path}")
    @_answered
    def assets(name: str) -> Response:
        try:
            text, kind = asset(name)
        except InputError as error:
            raise Refused(404, "not_found", str(error)) from error
        return Response(text, headers={"cache-control": "no-cache"}, media_type=kind)


_NAMED = {"content-disposition": 'attachment; filename="review_labels.csv"'}


def csv_of(desk: Desk) -> str:
    """Return the labels so far as the text of a CSV file."""
    import csv
    import io

    from uncertainty.checks.csv_cells import cell, cells

    table = labels_table(desk.screened, desk.store.standing())
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([cell(name) for name in table.column_names])
    writer.writerows(zip(*(cells(column.to_pylist()) for column in table.columns), strict=True))
    return text.getvalue()


def _add_script(router: APIRouter, desk: Desk) -> None:
    def handed(who: Person, **more: Any) -> dict[str, Any]:
        return {
            "items": desk.take(who, AHEAD),
            "skipped": desk.turns.skipped_by(who.annotator),
            "headline": headline(desk),
        } | more

    @router.post("/next")
    @_answered
    def following(token: Token = "") -> dict[str, Any]:
        return handed(_known(desk, token))

    @router.post("/answer")
    @_answered
    def answer(said: Said, token: Token = "") -> dict[str, Any]:
        who = _known(desk, token)
        given = desk.vocabulary.answer(said.kind, said.classes)
        saved = desk.answer(who, said.item, given, said.how, said.seconds)
        return handed(who, saved=saved.item)

    @router.post("/undo")
    @_answered
    def undo(token: Token = "") -> dict[str, Any]:
        who = _known(desk, token)
        taken = desk.undo(who)
        return handed(who, undone=None if taken is None else taken["item"], before=(taken or {}).get("before"))

    @router.post("/again")
    @_answered
    def again(token: Token = "") -> dict[str, Any]:
        who = _known(desk, token)
        desk.again(who)
        return handed(who)

    @router.post("/open/{item}")
    @_answered
    def opened(item: Item, token: Token = "") -> Response:
        desk.open(item, _known(desk, token))
        return RedirectResponse("/desk", 303)


def _add_looks(router: APIRouter, desk: Desk) -> None:
    kept = {"cache-control": "private, max-age=3600"}

    @router.get("/picture/{item}")
    @_answered
    def picture(item: Item, size: Annotated[str, Query(pattern="^(shown|whole)$")] = "shown", token: Token = "") -> Any:
        _known(desk, token)
        if item >= len(desk.screened.names):
            raise ImageError("is not one of this review")
        return Response(desk.shown.picture(item, size), media_type="image/webp", headers=kept)

    def looked(item: int, token: str, look: str) -> Any:
        _known(desk, token)
        if desk.looks is None:
            raise Refused(404, "no_screener", "no screener was given to look at images again")
        if item >= len(desk.screened.names):
            raise ImageError("is not one of this review")
        try:
            return getattr(desk.looks, look)(item)
        except (ImageError, InputError):
            raise
        except MissingDependencyError as error:
            raise Refused(501, "not_installed", str(error)) from error
        except UncertaintyError as error:
            raise Refused(422, "no_look", str(error)) from error

    @router.get("/nearest/{item}")
    @_answered
    def nearest(item: Item, token: Token = "") -> Response:
        found = looked(item, token, "nearest")
        found["known_good"] = [
            f"data:image/webp;base64,{base64.b64encode(one).decode()}" for one in found["known_good"]
        ]
        return JSONResponse(found, headers=kept)

    @router.get("/heat/{item}")
    @_answered
    def heat(item: Item, token: Token = "") -> Response:
        return JSONResponse(looked(item, token, "heat"), headers=kept)

    @router.get("/explained/{item}")
    @_answered
    def explained(item: Item, token: Token = "") -> Response:
        return JSONResponse({"lines": looked(item, token, "explained").words()[1:]}, headers=kept)


def _add_update(router: APIRouter, desk: Desk, updating: Updating) -> None:
    @router.post("/update", response_class=HTMLResponse)
    @_answered
    def propose(token: Token = "") -> Response:
        _known(desk, token)
        return _html(page("update.html", proposal=updating.propose(), done=None, changed=False))

    @router.post("/update/apply", response_class=HTMLResponse)
    @_answered
    def apply(key: Annotated[str, Form(pattern="^[0-9a-f]{32}$")], token: Token = "") -> Response:
        _known(desk, token)
        try:
            found = updating.apply(key)
        except UncertaintyError as error:
            raise Refused(422, "no_update", str(error)) from error
        if isinstance(found, Done):
            return _html(page("update.html", proposal=None, done=found, changed=False))
        return _html(page("update.html", proposal=found, done=None, changed=True))
