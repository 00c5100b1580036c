"""A folder is watched: images that are complete are screened in batches, noted, and handed on."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from uncertainty.errors import InputError, in_one_line
from uncertainty.files import alone, plain
from uncertainty.images.sources import ImageItem, ImageSet
from uncertainty.screener import Screener
from uncertainty.screening.allocator import give_back_freed_memory
from uncertainty.screening.journal import in_progress
from uncertainty.screening.part_tables import DIGEST, part_tables
from uncertainty.screening.part_tables import task_of as task_of_images
from uncertainty.screening.second_pass import FILES
from uncertainty.screening.task import Task
from uncertainty.service.watch.arrivals import Arrivals, Stamp, stamp_of
from uncertainty.service.watch.flagged import placed
from uncertainty.service.watch.ledger import Ledger, Seen
from uncertainty.service.watch.parts import Rows, database_of, task_of
from uncertainty.service.watch.settings import WatchSettings
from uncertainty.service.watch.telling import Teller

logger = logging.getLogger("uncertainty")
_SHARE = 10
"""Writing all verdicts takes longer the more there are: at most one part in so many of the time."""
_TOLD = ("file_name", "predicted_label", "confidence", "p_wrong", "flagged", "threshold", "reasons", "error")


@dataclass(frozen=True)
class Batch:
    """A batch that was screened: its number, how many images it has, and how many of them are flagged."""

    number: int
    images: int
    flagged: int


class Watch:
    """A watched folder, opened by the one process that watches it; see `watching`."""

    def __init__(self, screener: Screener, settings: WatchSettings, ledger: Ledger) -> None:
        self.screener, self.settings, self.ledger = screener, settings, ledger
        self.rows = Rows(settings, ledger)
        self.arrivals = Arrivals(settings.folder, settings.settle, ledger.known)
        self._begin()
        self._teller = Teller(settings.told, ledger.about("key"))
        self._tell_at = self._publish_at = 0.0

    def _begin(self) -> None:
        """Go on where another process stopped, whenever that was; refuse to go on with something else."""
        now = task_of(self.screener, self.settings, 0)
        before = self.ledger.about("task")
        if before is None:
            with self.ledger.together():
                self.ledger.note("task", asdict(now))
                self.ledger.note("key", secrets.token_hex(8))
        elif (was := Task.from_dict(before)) is None or (difference := was.difference(now)) is not None:
            why = "it is of another release" if was is None else difference
            raise InputError(f"{self.settings.out} holds a watch of something else: {why}; give another folder")
        self.rows.clear()
        self.rows.join()

    @property
    def _hands_on(self) -> bool:
        told = self.settings.told
        return not (self.settings.flagged is told.webhook is told.command is None)

    def run(self, stop: threading.Event, heard: Callable[[Batch], None]) -> dict[str, Any] | None:
        """Watch until `stop` is set; return the summary of all images, None where there was none."""
        while not stop.is_set():
            begun = time.monotonic()
            self.arrivals.look()
            looked = time.monotonic() - begun
            while not stop.is_set() and (batch := self.screen()) is not None:
                heard(batch)
                self.hand_on()
                self.publish_in_time()
            self.hand_on()
            self.publish_in_time()
            stop.wait(max(self.settings.every, _SHARE * looked))
        return self.publish() if self.ledger.rows() else None

    def screen(self) -> Batch | None:
        """Screen files that are complete, as many as a pass takes at once; None where there are none."""
        due = self.arrivals.complete(min(self.settings.batch_size, self.rows.room()))
        if not due:
            return None
        return self._noted(due, self._judged([name for name, _ in due]))

    def _judged(self, names: list[str]) -> pa.Table:
        images = ImageSet.of([ImageItem(str(k), self.settings.folder / name) for k, name in enumerate(names)])
        size = self.settings.batch_size
        task = task_of_images(self.screener, images, batch_size=size)
        return next(part_tables(self.screener, images, task, range(1), workers=self.settings.workers))

    def _noted(self, due: list[tuple[str, Stamp]], table: pa.Table) -> Batch:
        """Write the rows that are new, and note them and their files; only then the files are done."""
        digests, errors = table[DIGEST].to_pylist(), table["error"].to_pylist()
        seen, names, new = list[Seen](), set[str](), list[int]()
        for k, (path, stamp) in enumerate(due):
            if self._not_yet(path, stamp, unreadable=errors[k] is not None):
                continue
            before, digest = self.ledger.digest(path)
            name = None
            if not before or digest != digests[k]:
                name = self.ledger.free_name(path, names)
                names.add(name)
                new.append(k)
            seen.append(Seen(path, stamp, digests[k], name))
        batch = self._written(seen, _named(table.take(pa.array(new, pa.int64())), seen))
        for one in seen:
            self.arrivals.done(one.path)
        return batch

    def _not_yet(self, path: str, stamp: Stamp, *, unreadable: bool) -> bool:
        """Whether a file is to be looked at again: it changed while it was read, is gone, or may become readable."""
        if stamp_of(self.settings.folder / path) != stamp:
            self.arrivals.done(path)  # the next look finds it anew, if it is there
            return True
        return unreadable and self.arrivals.put_off(path)

    def _written(self, seen: list[Seen], table: pa.Table) -> Batch:
        number = self.ledger.next_batch()
        content = _content(table, [one for one in seen if one.name is not None])
        if len(table):
            self.rows.write(number, table)
        with self.ledger.together():
            self.ledger.add(seen, len(table), content if self._hands_on else None)
        self.rows.join()
        return Batch(number, len(table), sum(one["flagged"] for one in content["images"]))

    def hand_on(self) -> None:
        """Place the files of flagged images, and tell the batches that are to be told."""
        while waiting := self.ledger.unplaced():
            for number, content in waiting:
                found = self._placed(content)
                with self.ledger.together():
                    self.ledger.placed(number, found)
        while time.monotonic() >= self._tell_at and (one := self.ledger.outbox()) is not None:
            number, content, _ = one
            why = self._teller.tell(content)
            if why is not None:
                logger.warning("batch %d was not told: %s; it is told again", number, why)
                self._tell_at = time.monotonic() + self._teller.pause
                return
            with self.ledger.together():
                self.ledger.handed_on(number)

    def _placed(self, content: dict[str, Any]) -> dict[str, Any]:
        s = self.settings
        if s.flagged is None or s.flagged_to is None:
            return content
        for image in content["images"]:
            if image["flagged"]:
                file = image["path"]
                try:
                    where = placed(s.folder / file, s.flagged_to / file, s.flagged)
                except OSError as error:
                    raise InputError(
                        f"{s.folder / file} can't be put into {s.flagged_to} ({in_one_line(error)}); it is done once "
                        "the same command goes on"
                    ) from error
                image["placed"] = None if where is None else str(where)
        return content

    def publish_in_time(self) -> None:
        """Write the verdicts of all images where there are new ones, and it is not too early."""
        if time.monotonic() >= self._publish_at and self.ledger.rows() != (self.ledger.about("published") or 0):
            self.publish()

    def publish(self) -> dict[str, Any]:
        """Write the verdicts of all images so far, as `screen` does."""
        begun = time.monotonic()
        summary = self.rows.publish(self.screener)
        give_back_freed_memory()  # else it stays as large as the longest table of verdicts made it
        took = time.monotonic() - begun
        self._publish_at = time.monotonic() + max(self.settings.publish, _SHARE * took)
        return summary


@contextmanager
def watching(screener: Screener, settings: WatchSettings) -> Iterator[Watch]:
    """Open a watched folder, alone.

    Raises InputError: another process watches into this `out`, it holds something else, or it can't be written.
    """
    database = database_of(settings)
    there = [name for name in FILES if os.path.lexists(settings.out / name)]
    if not database.exists() and (there or in_progress(settings.out)):
        raise InputError(f"{settings.out} holds another screening; give another folder")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{settings.out} can't be written ({error.strerror or error}); give another folder") from error
    refusal = f"{settings.out} is being written by another process that watches; stop it, or give another folder"
    with alone(database.parent, refusal), closing(Ledger(database)) as ledger:
        yield Watch(screener, settings, ledger)


def _named(table: pa.Table, seen: list[Seen]) -> pa.Table:
    column = pa.array([one.name for one in seen if one.name is not None], pa.string())
    return table.set_column(table.column_names.index("file_name"), "file_name", column)


def _content(table: pa.Table, seen: list[Seen]) -> dict[str, Any]:
    """Return what is told of a batch; numbers that are none become null."""
    known = [name for name in _TOLD if name in table.column_names]
    images = plain(table.select(known).to_pylist())
    for image, one in zip(images, seen, strict=True):
        image["path"] = one.path
    return {"images": images}
