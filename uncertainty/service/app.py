"""The application: routes behind their guard, and what starts and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from uncertainty.service.metrics import Measured
from uncertainty.service.parts import Parts
from uncertainty.service.problems import answer_problems
from uncertainty.service.routes import kept, screening, state
from uncertainty.service.security import Guard
from uncertainty.service.settings import ServiceSettings


def create_app(settings: ServiceSettings, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """Load the screeners and return the application of a service; `routers` are more routes behind the same guard.

    Its `state.parts` are what routes share. Raises what loading a screener raises, and InputError for a store that is
    none.
    """
    parts = Parts.of(settings)
    # The pages that FastAPI shows of itself load scripts from elsewhere.
    app = FastAPI(
        title="uncertainty",
        summary="Which images does a classifier get wrong?",
        version=version("uncertainty-vision"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a proxy may stand in front, and whither it leads is not known here
        lifespan=_lifespan,
    )
    app.state.parts = parts
    answer_problems(app)
    own = [screening.router, kept.router] if settings.screeners else []
    for router in (state.router, *own, *routers):
        app.include_router(router)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Measured, metrics=parts.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Look for replaced screeners and for drift while it runs; finish what was accepted when it ends."""
    parts: Parts = app.state.parts
    looking = [asyncio.create_task(work) for work in (parts.screeners.watch(), parts.screeners.monitor())]
    try:
        yield
    finally:
        parts.ending = True
        for task in looking:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(parts.close)
