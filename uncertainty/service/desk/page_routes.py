"""Pages for people, and the labels as a table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from uncertainty.errors import InputError
from uncertainty.service.desk.asking import PERSON, Token, answered, html, known
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.figures import figures
from uncertainty.service.desk.labels_file import labels_text
from uncertainty.service.desk.pages import asset, page
from uncertainty.service.problems import Refused

_MONTH = 30 * 86_400
_NAMED = {"content-disposition": 'attachment; filename="review_labels.csv"'}


def add_people(router: APIRouter, desk: Desk) -> None:
    """Add where a person says who he is."""

    @router.get("/")
    @router.get("/desk/")
    def home() -> Response:
        return RedirectResponse("/desk", 307)

    @router.get("/session", response_class=HTMLResponse)
    def session() -> Response:
        return html(page("session.html"))

    @router.post("/desk/name", response_class=HTMLResponse)
    @answered
    def name(annotator: Annotated[str, Form(max_length=500)]) -> Response:
        try:
            token = desk.sign_in(annotator)
        except InputError as error:
            return html(page("name.html", error=str(error)), 422)
        except Refused as error:  # the file can't be written; a person reads pages, not JSON
            return html(page("name.html", error=f"{error.detail}."), error.status_code)
        found = RedirectResponse("/desk", 303)
        found.set_cookie(PERSON, token, max_age=_MONTH, path="/desk", httponly=True, samesite="strict")
        return found

    @router.post("/desk/leave", response_class=HTMLResponse)
    def leave() -> Response:
        found = RedirectResponse("/desk", 303)
        found.delete_cookie(PERSON, path="/desk")
        return found


def add_pages(router: APIRouter, desk: Desk) -> None:
    """Add the page of images, that of progress, and what is read from there."""

    @router.get("/desk", response_class=HTMLResponse)
    @answered
    def review(token: Token = "") -> Response:
        who = desk.person(token)
        if who is None:
            return html(page("name.html", error=None))
        notes = desk.notes + ([] if desk.shown.anywhere else ["The images are not where they were screened."])
        return html(page("review.html", data=_told(desk), annotator=who.annotator, notes=notes))

    @router.get("/desk/progress", response_class=HTMLResponse)
    @answered
    def progress(token: Token = "") -> Response:
        if desk.person(token) is None:
            return RedirectResponse("/desk", 303)
        return html(page("progress.html", updates=desk.settings.saved is not None, **figures(desk)))

    @router.get("/desk/labels.csv")
    @answered
    def labels(token: Token = "") -> Response:
        known(desk, token)
        return Response(
            labels_text(desk.screened, desk.store.standing()), media_type="text/csv; charset=utf-8", headers=_NAMED
        )

    @router.get("/desk/assets/{name:path}")
    @answered
    def assets(name: str) -> Response:
        try:
            text, kind = asset(name)
        except InputError as error:
            raise Refused(404, "not_found", str(error)) from error
        return Response(text, headers={"cache-control": "no-cache"}, media_type=kind)


def _told(desk: Desk) -> dict[str, Any]:
    """Return what the script of the page is told once."""
    return {
        "counts": {"labelled": 0},
        "classes": list(desk.vocabulary.classes),
        "several": desk.vocabulary.task == "multilabel",
        "looks": desk.looks is not None,
    }
