"""What the script of the page sends and gets: images at hand, answers, what was taken back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from uncertainty.service.desk.answers import Kind
from uncertainty.service.desk.asking import Item, Token, answered, known
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.figures import headline
from uncertainty.service.desk.turns import How, Person

AHEAD = 4
"""Images that a page has at hand: the one that is looked at, and the next ones."""
_MOST_CLASSES = 10_000


class Said(BaseModel):
    """An answer as the page sends it: the image by its number, classes by their positions."""

    model_config = ConfigDict(extra="forbid")
    item: int = Field(ge=0, le=2**31)
    kind: Kind
    classes: list[int] = Field(default_factory=list, max_length=_MOST_CLASSES)
    how: How = How.RANKED
    seconds: float | None = Field(default=None, ge=0, le=1e7, allow_inf_nan=False)


def add_answers(router: APIRouter, desk: Desk) -> None:
    """Add what hands out images and keeps answers; a client names an image by its number alone."""

    def handed(who: Person, **more: Any) -> dict[str, Any]:
        return {
            "items": desk.take(who, AHEAD),
            "skipped": desk.turns.skipped_by(who.annotator),
            "headline": headline(desk),
        } | more

    @router.post("/desk/next")
    @answered
    def following(token: Token = "") -> dict[str, Any]:
        return handed(known(desk, token))

    @router.post("/desk/answer")
    @answered
    def answer(said: Said, token: Token = "") -> dict[str, Any]:
        who = known(desk, token)
        given = desk.vocabulary.answer(said.kind, said.classes)
        saved = desk.answer(who, said.item, given, said.how, said.seconds)
        return handed(who, saved=saved.item)

    @router.post("/desk/undo")
    @answered
    def undo(token: Token = "") -> dict[str, Any]:
        who = known(desk, token)
        taken = desk.undo(who) or {}
        return handed(who, undone=taken.get("item"), before=taken.get("before"), chosen=taken.get("chosen"))

    @router.post("/desk/again")
    @answered
    def again(token: Token = "") -> dict[str, Any]:
        who = known(desk, token)
        desk.again(who)
        return handed(who)

    @router.post("/desk/open/{item}")
    @answered
    def opened(item: Item, token: Token = "") -> Response:
        desk.open(item, known(desk, token))
        return RedirectResponse("/desk", 303)
