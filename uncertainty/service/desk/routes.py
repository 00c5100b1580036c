"""The desk over HTTP: pages for people, JSON for their script."""

from __future__ import annotations

from fastapi import APIRouter

from uncertainty.service.desk.answer_routes import add_answers
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.look_routes import add_looks
from uncertainty.service.desk.page_routes import add_pages, add_people
from uncertainty.service.desk.update_routes import add_update


def desk_router(desk: Desk) -> APIRouter:
    """Return the routes of a desk, below `/desk`, and the page that asks for the token."""
    router = APIRouter(include_in_schema=False)
    for add in (add_people, add_pages, add_answers, add_looks, add_update):
        add(router, desk)
    return router
