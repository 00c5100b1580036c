"""The parts of a watched screening, and the files that they become: those that `screen` writes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uncertainty.errors import InputError, in_one_line
from uncertainty.screener import Screener
from uncertainty.screening.journal import Parts
from uncertainty.screening.part_files import part_name, write_part
from uncertainty.screening.part_tables import as_part
from uncertainty.screening.second_pass import finish
from uncertainty.screening.task import ROWS_IN_A_PART, Task
from uncertainty.service.watch.ledger import DATABASE, FOLDER, Ledger
from uncertainty.service.watch.settings import WatchSettings
from uncertainty.workflows.screen import TASK

_BATCHES = "batches"


class _KeptParts(Parts):
    """Parts that stay when the files are made: rows will come after them."""

    def remove(self) -> None:
        """Remove the part that is not full yet; it is made anew from its batches."""
        if self.task.images % self.task.rows_in_a_part:
            (self.folder / part_name(self.task.parts - 1)).unlink()


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows on the disk: full parts as `screen` writes them, and batches that will be one.

    A batch lies in a folder of its own, under its number, so that a part that was begun is never mistaken for one.
    """

    settings: WatchSettings
    ledger: Ledger

    @property
    def folder(self) -> Path:
        """Where the parts are."""
        return self.settings.out / FOLDER

    def clear(self) -> None:
        """Remove what a process left that was killed: temporary files, and rows that the ledger does not know of."""
        (self.folder / _BATCHES).mkdir(exist_ok=True)
        for path in self.folder.glob(".*"):
            path.unlink()
        known = {part_name(number) for number, _ in self.ledger.tail()}
        for path in (self.folder / _BATCHES).iterdir():
            if path.name not in known:
                path.unlink()

    def room(self) -> int:
        """Return how many rows the part that is being filled still takes."""
        return ROWS_IN_A_PART - sum(rows for _, rows in self.ledger.tail())

    def write(self, number: int, table: pa.Table) -> None:
        """Write the rows of a batch; they count once the ledger knows of it."""
        write_part(self.folder / _BATCHES, number, table)

    def join(self) -> None:
        """Make a part of the batches once they fill one."""
        if self.room() <= 0:
            part = self.ledger.parts()
            rows = write_part(self.folder, part, self._tail()).rows
            with self.ledger.together():
                self.ledger.joined(part, rows)
            self.clear()

    def publish(self, screener: Screener) -> dict[str, Any]:
        """Write verdicts, summary, features and monitoring of all rows into the folder; return the summary."""
        full, tail = self.ledger.parts(), self.ledger.tail()
        if tail:
            write_part(self.folder, full, self._tail())
        task = task_of(screener, self.settings, self.ledger.rows())
        about: dict[str, Any] = {
            TASK: asdict(task),
            "input_root": str(self.settings.folder.absolute()),
            "notes_on_images": [],
        }
        summary = finish(_KeptParts(self.folder, task, {}), screener, {}, ending=self.settings.ending, **about)
        with self.ledger.together():
            self.ledger.note("published", task.images)
        return summary

    def _tail(self) -> pa.Table:
        tables = []
        for number, _ in self.ledger.tail():
            path = self.folder / _BATCHES / part_name(number)
            try:
                with pq.ParquetFile(path) as file:
                    tables.append(file.read())
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{path} is damaged ({in_one_line(error)}); bring it back from a copy") from error
        return as_part(tables)


def task_of(screener: Screener, settings: WatchSettings, images: int) -> Task:
    """Return what is being done: all that the rows depend on, and how many there are."""
    root = hashlib.blake2b(str(settings.folder.resolve()).encode("utf-8", "backslashreplace"), digest_size=16)
    return Task(
        images=images,
        input=root.hexdigest(),
        screen_id=screener.id,
        model_sha256=screener.model.sha256 or "",
        policy=str(screener.decision.policy),
        batch_size=settings.batch_size,
        features=True,
        rows_in_a_part=ROWS_IN_A_PART,
    )


def database_of(settings: WatchSettings) -> Path:
    """Return where the ledger lies."""
    return settings.out / FOLDER / DATABASE
