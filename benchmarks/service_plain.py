"""What one would write by hand: a FastAPI endpoint that judges image by image, to measure the service against."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from uncertainty.classifiers.base import ArrayItem
from uncertainty.screener import Screener
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.server import run
from uncertainty.service.settings import ServiceSettings


def plain(screener: Screener) -> FastAPI:
    """Return it; the model runs in the event loop, as in most examples, so requests wait for each other."""
    app = FastAPI()

    @app.post("/v1/screen")
    async def screen(request: Request) -> dict[str, Any]:
        verdicts = screener.screen([ArrayItem("image", await request.body())], workers=1)
        return {"rows": verdicts.table.to_pylist()}

    return app


def main() -> None:
    """Serve a screener at a port."""
    parser = ArgumentParser()
    parser.add_argument("screener", type=Path)
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    keep_freed_memory()
    app = plain(SavedScreener(chosen.screener).load())
    run(app, ServiceSettings(port=chosen.port), ready=lambda url: print(f"listening at {url};", flush=True))


if __name__ == "__main__":
    main()
