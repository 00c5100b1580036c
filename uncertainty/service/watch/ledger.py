"""What was screened in a watched folder, so that nothing is lost or done twice, whenever the process is killed.

`OUT/.watch/` holds `watch.sqlite` and the parts of the screening. Rows are on the disk before the transaction that
says so together with the files they are of, and with what is to be handed on; only then anything is handed on.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from uncertainty.errors import InputError, in_one_line
from uncertainty.service.watch.arrivals import Stamp

FOLDER, DATABASE = ".watch", "watch.sqlite"
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS about (what TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS parts (part INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, content TEXT NOT NULL, placed INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Seen:
    """A file as it was screened."""

    path: str
    stamp: Stamp
    digest: str | None
    name: str | None
    """Of its row; None where the same picture had one."""


class Ledger:
    """The database of a watched folder, for one process; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise InputError(f"{path} is of another release; give another folder")
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_VERSION}; COMMIT;")
        except sqlite3.Error as error:
            raise InputError(f"{path} can't be used ({in_one_line(error)}); give another folder") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do all of a block, or nothing of it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise InputError(
                f"{self.path} can't be written ({in_one_line(error)}); what is done is kept, start it again"
            ) from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def about(self, what: str) -> Any:
        """Return what was noted; None where nothing was."""
        found = self._db.execute("SELECT content FROM about WHERE what = ?", [what]).fetchone()
        return None if found is None else json.loads(found[0])

    def note(self, what: str, content: Any) -> None:
        """Note something of the whole."""
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", [what, json.dumps(content)])

    def known(self, path: str, stamp: Stamp) -> bool:
        """Whether a file was screened as it is now."""
        row = self._db.execute("SELECT size, changed FROM files WHERE path = ?", [os.fsencode(path)]).fetchone()
        return row is not None and Stamp(*row) == stamp

    def digest(self, path: str) -> tuple[bool, str | None]:
        """Return whether a file of this name was screened, and the digest of what it held."""
        row = self._db.execute("SELECT digest FROM files WHERE path = ?", [os.fsencode(path)]).fetchone()
        return row is not None, None if row is None else row[0]

    def free_name(self, path: str, taken: set[str]) -> str:
        """Return the name of a new row: that of the file, numbered where another picture had it before."""
        whole = PurePosixPath(path.encode("utf-8", "backslashreplace").decode())
        name, number = str(whole), 1
        while name in taken or self._db.execute("SELECT 1 FROM names WHERE name = ?", [name]).fetchone():
            number += 1
            name = str(whole.with_name(f"{whole.stem}~{number}{whole.suffix}"))
        return name

    def add(self, seen: Sequence[Seen], rows: int, content: dict[str, Any] | None) -> None:
        """Note files and the batch that holds their rows, and where it is to be handed on, what of it."""
        self._db.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
            [(os.fsencode(one.path), *one.stamp, one.digest) for one in seen],
        )
        self._db.executemany("INSERT INTO names VALUES (?)", [(one.name,) for one in seen if one.name is not None])
        if not rows:
            return
        number = self._db.execute("INSERT INTO batches (rows) VALUES (?)", [rows]).lastrowid
        if content is not None:
            self._db.execute("INSERT INTO outbox VALUES (?, ?, 0)", [number, json.dumps({"batch": number} | content)])

    def next_batch(self) -> int:
        """Return the number that the next batch will have."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
        return 1 + (0 if found is None else int(found[0]))

    def tail(self) -> list[tuple[int, int]]:
        """Return number and rows of the batches that are in no part yet."""
        return self._db.execute("SELECT number, rows FROM batches ORDER BY number").fetchall()

    def parts(self) -> int:
        """Return how many parts are full."""
        return int(self._db.execute("SELECT count(*) FROM parts").fetchone()[0])

    def rows(self) -> int:
        """Return how many images were screened."""
        sql = "SELECT coalesce((SELECT sum(rows) FROM parts), 0) + coalesce((SELECT sum(rows) FROM batches), 0)"
        return int(self._db.execute(sql).fetchone()[0])

    def joined(self, part: int, rows: int) -> None:
        """Note that all batches are in a part now."""
        self._db.execute("INSERT INTO parts VALUES (?, ?)", [part, rows])
        self._db.execute("DELETE FROM batches")

    def outbox(self) -> tuple[int, dict[str, Any], bool] | None:
        """Return the first batch that is to be handed on, and whether its files were placed; None where none is."""
        row = self._db.execute("SELECT number, content, placed FROM outbox ORDER BY number LIMIT 1").fetchone()
        return None if row is None else (row[0], json.loads(row[1]), bool(row[2]))

    def unplaced(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the batches whose flagged files were not placed yet."""
        rows = self._db.execute("SELECT number, content FROM outbox WHERE placed = 0 ORDER BY number LIMIT 100")
        return [(number, json.loads(content)) for number, content in rows]

    def placed(self, number: int, content: dict[str, Any]) -> None:
        """Note that the flagged files of a batch are where they belong, and where that is."""
        self._db.execute("UPDATE outbox SET placed = 1, content = ? WHERE number = ?", [json.dumps(content), number])

    def handed_on(self, number: int) -> None:
        """Note that a batch was told to whom it is told."""
        self._db.execute("DELETE FROM outbox WHERE number = ?", [number])
