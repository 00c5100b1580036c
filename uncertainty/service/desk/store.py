"""Answers in SQLite, each committed before anybody is told that it is saved; none is ever deleted, only withdrawn."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.service.desk.answers import Answer, Kind

FILE = "review.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS queue (place INTEGER PRIMARY KEY, item INTEGER NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS draw (place INTEGER PRIMARY KEY, item INTEGER NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS people (token TEXT PRIMARY KEY, annotator TEXT NOT NULL, time TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, item INTEGER NOT NULL, annotator TEXT NOT NULL, kind TEXT NOT NULL,
    label TEXT NOT NULL, how TEXT NOT NULL, time TEXT NOT NULL, seconds REAL, session TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS standing ON answers (item, annotator) WHERE withdrawn = 0;
"""
_COLUMNS = "id, item, annotator, kind, label, how, time, seconds"


@dataclass(frozen=True)
class Saved:
    """An answer as it is kept: number, image, who, what, how the image came to that person, when, after how long."""

    id: int
    item: int
    annotator: str
    answer: Answer
    how: str
    time: str
    seconds: float | None


@dataclass(frozen=True)
class Given:
    """An answer that is about to be kept."""

    item: int
    annotator: str
    answer: Answer
    how: str
    session: str = ""
    seconds: float | None = None


class Store:
    """The file of one review; one connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; InputError where it is no SQLite file, or can't be written."""
        self.path, self._lock = path, threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise InputError(f"{path} can't be used to keep labels ({error}); name another with --database") from error

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for a change: all of it is committed at the end, or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def about(self) -> dict[str, str]:
        """Return what this review is of; {} for a new file."""
        return dict(self._read("SELECT name, value FROM about"))

    def begin(self, about: Mapping[str, str], queue: list[int], draw: list[int]) -> None:
        """Note what this review is of, and the order of its images."""
        with self._writing() as db:
            db.executemany("INSERT INTO queue VALUES (?, ?)", enumerate(queue))
            db.executemany("INSERT INTO draw VALUES (?, ?)", enumerate(draw))
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    def order(self) -> tuple[list[int], list[int]]:
        """Return the images as they are shown, and as they are drawn."""
        return tuple(  # type: ignore[return-value]
            [item for (item,) in self._read(f"SELECT item FROM {table} ORDER BY place")]  # noqa: S608, one of two names
            for table in ("queue", "draw")
        )

    def add_person(self, token: str, annotator: str) -> None:
        """Remember who has a token; of the token only a hash is kept."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", (_hashed(token), annotator, _now()))

    def person(self, token: str) -> str | None:
        """Return who has a token; None for one that nobody has."""
        found = self._read("SELECT annotator FROM people WHERE token = ?", _hashed(token))
        return str(found[0][0]) if found else None

    def add(self, given: Given) -> Saved:
        """Keep an answer in place of what this person said of the image before; returns once it is on the disk.

        The same answer given twice is kept once.
        """
        with self._writing() as db:
            mine = "item = ? AND annotator = ? AND withdrawn = 0"
            who = (given.item, given.annotator)
            before = db.execute(f"SELECT {_COLUMNS} FROM answers WHERE {mine}", who).fetchall()  # noqa: S608, constants
            if before and (kept := _saved(before[-1])).answer == given.answer and given.answer.kind is not Kind.SKIP:
                return kept
            db.execute(f"UPDATE answers SET withdrawn = 1 WHERE {mine}", who)  # noqa: S608, a constant
            row = (*who, given.answer.kind.value, given.answer.label, given.how, _now(), given.seconds)
            columns = _COLUMNS.removeprefix("id, ")
            sql = f"INSERT INTO answers ({columns}, session) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608, constants
            added = db.execute(sql, (*row, _hashed(given.session)))
            return _saved((added.lastrowid, *row))

    def withdraw(self, annotator: str, session: str) -> Saved | None:
        """Take back the last answer that this person gave in this session; None where there is none."""
        with self._writing() as db:
            mine = "annotator = ? AND session = ? AND withdrawn = 0 ORDER BY id DESC LIMIT 1"
            found = db.execute(f"SELECT {_COLUMNS} FROM answers WHERE {mine}", (annotator, _hashed(session))).fetchone()  # noqa: S608
            if found is None:
                return None
            db.execute("UPDATE answers SET withdrawn = 1 WHERE id = ?", (found[0],))
            return _saved(found)

    def unskip(self, annotator: str) -> None:
        """Take back all that this person skipped."""
        with self._writing() as db:
            sql = "UPDATE answers SET withdrawn = 1 WHERE annotator = ? AND kind = ? AND withdrawn = 0"
            db.execute(sql, (annotator, Kind.SKIP.value))

    def standing_of(self, item: int) -> list[Saved]:
        """Return every answer for one image that was not withdrawn, the oldest first."""
        sql = f"SELECT {_COLUMNS} FROM answers WHERE item = ? AND withdrawn = 0 ORDER BY id"  # noqa: S608, constants
        return [_saved(row) for row in self._read(sql, item)]

    def standing(self) -> list[Saved]:
        """Return every answer that was not withdrawn, the oldest first."""
        return [_saved(row) for row in self._read(f"SELECT {_COLUMNS} FROM answers WHERE withdrawn = 0 ORDER BY id")]  # noqa: S608


def _saved(row: Any) -> Saved:
    number, item, annotator, kind, label, how, time, seconds = row
    return Saved(number, item, annotator, Answer(Kind(kind), label), how, time, seconds)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
