"""What the labels would change in the screener, and the change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from uncertainty.errors import UncertaintyError
from uncertainty.service.desk.asking import Token, answered, html, known
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.pages import page
from uncertainty.service.desk.updating import Done, Updating
from uncertainty.service.problems import Refused


def add_update(router: APIRouter, desk: Desk) -> None:
    """Add the page that shows what an update would change, and what makes it."""
    updating = Updating(desk)

    @router.get("/desk/update")
    @router.get("/desk/update/apply")
    def elsewhere() -> Response:
        return RedirectResponse(
            "/desk/progress", 303
        )  # who comes back by its address; only a button asks for an update

    @router.post("/desk/update", response_class=HTMLResponse)
    @answered
    def propose(token: Token = "") -> Response:
        known(desk, token)
        return html(page("update.html", proposal=updating.propose(), done=None, changed=False))

    @router.post("/desk/update/apply", response_class=HTMLResponse)
    @answered
    def apply(key: Annotated[str, Form(pattern="^[0-9a-f]{32}$")], token: Token = "") -> Response:
        known(desk, token)
        try:
            found = updating.apply(key)
        except UncertaintyError as error:
            raise Refused(422, "no_update", str(error)) from error
        if isinstance(found, Done):
            return html(page("update.html", proposal=None, done=found, changed=False))
        return html(page("update.html", proposal=found, done=None, changed=True))
