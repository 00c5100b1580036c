"""A desk on a socket, alone with its labels, until a signal ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter

from uncertainty.files import alone
from uncertainty.service.app import create_app
from uncertainty.service.desk.desk import Desk, DeskSettings
from uncertainty.service.desk.routes import desk_router
from uncertainty.service.server import run
from uncertainty.service.settings import ServiceSettings


def serve_desk(
    settings: DeskSettings,
    service: ServiceSettings,
    ready: Callable[[str], None],
    noted: Callable[[Iterable[str]], None],
) -> None:
    """Serve a review; `ready` is told the address, `noted` what there is to say of its images.

    Raises InputError: no such screening, its labels are open in another review, the port is taken.
    """
    file = settings.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    with alone(file, f"{file} is open in another review; end that first"):
        desk = Desk(settings)
        noted(desk.notes)
        run(create_app(service, [ended_with(desk)]), service, ready=ready)


def ended_with(desk: Desk) -> APIRouter:
    """Return the routes of a desk that is closed, its labels written as a table, when the application ends."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        desk.close()

    router = APIRouter(lifespan=lifespan)
    router.include_router(desk_router(desk))
    return router
