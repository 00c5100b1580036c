"""The screeners that are served, by name; one that is replaced on disk is loaded anew while the old one goes on."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from uncertainty.errors import in_one_line
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.garbage import set_apart_anew
from uncertainty.service.lanes import Lane
from uncertainty.service.metrics import Metrics
from uncertainty.service.problems import Refused
from uncertainty.service.settings import ServiceSettings
from uncertainty.service.window import Window

logger = logging.getLogger("uncertainty")

Mark = tuple[tuple[str, int, int], ...]


def mark_of(folder: Path) -> Mark:
    """Return what tells the files of a folder from those that replace them; () where there are none."""
    try:
        with os.scandir(folder) as found:
            states = [(one.name, one.stat()) for one in found if one.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, state.st_mtime_ns, state.st_size) for name, state in states))


@dataclass(frozen=True)
class Served:
    """A screener that is loaded: its lane and window, which files it was read from and when.

    `stale` says that they were replaced by others that can't be loaded.
    """

    name: str
    lane: Lane
    window: Window
    mark: Mark
    loaded_at: float
    stale: bool = False


class Screeners:
    """What is served, by name; the first is meant where a request names none."""

    def __init__(self, settings: ServiceSettings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self._served = {name: self._loaded(name, saved) for name, saved in settings.screeners.items()}

    def _loaded(self, name: str, saved: SavedScreener) -> Served:
        mark = mark_of(saved.folder)
        screener = saved.load()
        window = Window(name, screener, self.settings.window, self.metrics)
        lane = Lane(screener, self.settings.batching, window)
        try:
            window.warm(lane.warm())
        except Exception as error:  # whoever asks is told what is wrong with it
            logger.warning("screener %r can't judge a grey picture: %s", name, in_one_line(error))
        self.metrics.queue.labels(name).set_function(lambda: lane.pending)
        return Served(name, lane, window, mark, time.time())

    def all(self) -> list[Served]:
        """Return what is served now, in the order given."""
        return list(self._served.values())

    def get(self, name: str | None) -> Served:
        """Return the screener of a name, None for the first; Refused, 404, for a name that there is not."""
        found = self._served.get(next(iter(self._served), "") if name is None else name)
        if found is None:
            raise Refused(404, "no_such_screener", f"served are: {', '.join(self._served) or 'none'}")
        return found

    async def watch(self) -> None:
        """Look for replaced screeners for ever."""
        while True:
            await asyncio.sleep(self.settings.reload_every)
            for name, saved in self.settings.screeners.items():
                await self._renew(name, saved)

    async def monitor(self) -> None:
        """Bring drift and accuracy in the metrics up to date for ever, where images came since."""
        while True:
            await asyncio.sleep(self.settings.monitor_every)
            for served in self.all():
                try:
                    await asyncio.to_thread(served.window.found)
                except Exception as error:  # nobody would begin this loop again
                    logger.error("the window of screener %r can't be judged: %s", served.name, in_one_line(error))

    async def _renew(self, name: str, saved: SavedScreener) -> None:
        old, mark = self._served[name], mark_of(saved.folder)
        if mark == old.mark:
            return
        if not mark:
            logger.warning("the folder of screener %r is gone, so the one that was loaded goes on", name)
            self._served[name] = Served(name, old.lane, old.window, mark, old.loaded_at, stale=True)
            return
        try:
            new = await asyncio.to_thread(self._loaded, name, saved)
        except Exception as error:  # a folder may be anything by now, and nobody would begin this loop again
            logger.warning("the replaced screener %r can't be loaded, so the old one goes on: %s", name, error)
            self._served[name] = Served(name, old.lane, old.window, mark, old.loaded_at, stale=True)
            self.metrics.reloads.labels(name, "failed").inc()
            return
        # No request is between finding its lane and handing it images: both happen in this thread without a pause.
        self._served[name] = new
        self.metrics.reloads.labels(name, "loaded").inc()
        logger.info("screener %r was loaded anew", name)
        await asyncio.to_thread(old.lane.close)
        del old
        set_apart_anew()

    def close(self) -> None:
        """Finish what was accepted."""
        for served in self._served.values():
            try:
                served.lane.close()
            except RuntimeError as error:
                logger.error("screener %r did not end well: %s", served.name, in_one_line(error))
