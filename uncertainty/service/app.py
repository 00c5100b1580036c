"""The application: routes behind their guard, and what starts and ends with it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from uncertainty.service.problems import answer_problems
from uncertainty.service.security import Guard
from uncertainty.service.settings import ServiceSettings


def create_app(settings: ServiceSettings, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """Return the application of a service; `routers` are more routes behind the same guard."""
    # The pages that FastAPI shows of itself load scripts from elsewhere.
    app = FastAPI(title="uncertainty", version=version("uncertainty-vision"), docs_url=None, redoc_url=None)
    answer_problems(app)
    for router in routers:
        app.include_router(router)
    app.add_middleware(Guard, settings=settings)
    return app
