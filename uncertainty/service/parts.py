"""What the routes of one application share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from uncertainty.service.fetching import Fetcher, Fetching
from uncertainty.service.metrics import Metrics
from uncertainty.service.screeners import Screeners
from uncertainty.service.settings import ServiceSettings
from uncertainty.service.verdict_store import VerdictStore


@dataclass
class Parts:
    """Screeners, store and threads of an application, which end with it; `ending` is set when it is told to."""

    settings: ServiceSettings
    metrics: Metrics
    screeners: Screeners
    store: VerdictStore | None
    fetching: Fetching
    pictures: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="picture"))
    ending: bool = False

    @classmethod
    def of(cls, settings: ServiceSettings) -> Parts:
        """Load the screeners and open the store; raises what loading raises, InputError for a store that is none."""
        metrics = Metrics()
        store = None if settings.store is None else VerdictStore(settings.store)
        fetching = Fetching(Fetcher(settings.limits.body))
        return cls(settings, metrics, Screeners(settings, metrics), store, fetching)

    def close(self) -> None:
        """Finish what was accepted, and write what is to be kept."""
        self.ending = True
        self.fetching.close()
        self.screeners.close()
        self.pictures.shutdown(cancel_futures=True)
        if self.store is not None:
            self.store.close()


# Coroutines, since FastAPI gives each other function that a route depends on to a thread, and a request waits for it.
async def _parts(request: Request) -> Parts:
    found: Parts = request.app.state.parts
    return found


SharedParts = Annotated[Parts, Depends(_parts)]
"""For the signature of a route."""
