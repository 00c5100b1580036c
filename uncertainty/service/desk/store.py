"""Answers in SQLite, each committed before anybody is told that it is saved; none is ever deleted, only withdrawn."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from uncertainty.service.desk.answers import Answer, Kind
from uncertainty.service.sqlite_file import SqliteFile, Work

Result = TypeVar("Result")

FILE = "review.sqlite"
_TABLES = """
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
_VERSION = 1
_MINE = "item = ? AND annotator = ? AND withdrawn = 0"
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
    """The file of one review; raises InputError for another file, and Refused as `SqliteFile` says."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        self.path = path
        self._file = SqliteFile(path, _TABLES, _VERSION)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._file.close()

    def _write(self, work: Work[Result]) -> Result:
        """Do something in a transaction, and return once it is on the disk."""
        return self._file.write(work).result()

    def _read(self, sql: str, *values: Any) -> list[Any]:
        with self._file.reading() as db:
            return db.execute(sql, values).fetchall()

    def about(self) -> dict[str, str]:
        """Return what this review is of; {} for a new file."""
        return dict(self._read("SELECT name, value FROM about"))

    def begin(self, about: Mapping[str, str], queue: list[int], draw: list[int]) -> None:
        """Note what this review is of, and the order of its images."""

        def beginning(db: sqlite3.Connection) -> None:
            db.executemany("INSERT INTO queue VALUES (?, ?)", enumerate(queue))
            db.executemany("INSERT INTO draw VALUES (?, ?)", enumerate(draw))
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())

        self._write(beginning)

    def order(self) -> tuple[list[int], list[int]]:
        """Return the images as they are shown, and as they are drawn."""
        return tuple(  # type: ignore[return-value]
            [item for (item,) in self._read(f"SELECT item FROM {table} ORDER BY place")]  # noqa: S608, one of two names
            for table in ("queue", "draw")
        )

    def add_person(self, token: str, annotator: str) -> None:
        """Remember who has a token; of the token only a hash is kept."""
        row = (_hashed(token), annotator, _now())
        self._write(lambda db: db.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", row))

    def person(self, token: str) -> str | None:
        """Return who has a token; None for one that nobody has."""
        found = self._read("SELECT annotator FROM people WHERE token = ?", _hashed(token))
        return str(found[0][0]) if found else None

    def add(self, given: Given) -> Saved:
        """Keep an answer in place of what this person said of the image before; returns once it is on the disk.

        The same answer given twice is kept once.
        """
        return self._write(lambda db: _added(db, given))

    def withdraw(self, annotator: str, session: str) -> Saved | None:
        """Take back the last answer that this person gave in this session; None where there is none."""
        return self._write(lambda db: _withdrawn(db, annotator, _hashed(session)))

    def unskip(self, annotator: str) -> None:
        """Take back all that this person skipped."""
        sql = "UPDATE answers SET withdrawn = 1 WHERE annotator = ? AND kind = ? AND withdrawn = 0"
        self._write(lambda db: db.execute(sql, (annotator, Kind.SKIP.value)))

    def standing(self) -> list[Saved]:
        """Return every answer that was not withdrawn, the oldest first."""
        return [_saved(row) for row in self._read(f"SELECT {_COLUMNS} FROM answers WHERE withdrawn = 0 ORDER BY id")]  # noqa: S608


def _added(db: sqlite3.Connection, given: Given) -> Saved:
    who = (given.item, given.annotator)
    before = db.execute(f"SELECT {_COLUMNS} FROM answers WHERE {_MINE}", who).fetchall()  # noqa: S608, constants
    if before and (kept := _saved(before[-1])).answer == given.answer and given.answer.kind is not Kind.SKIP:
        return kept
    db.execute(f"UPDATE answers SET withdrawn = 1 WHERE {_MINE}", who)  # noqa: S608, a constant
    row = (*who, given.answer.kind.value, given.answer.label, given.how, _now(), given.seconds)
    columns = _COLUMNS.removeprefix("id, ")
    sql = f"INSERT INTO answers ({columns}, session) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608, constants
    added = db.execute(sql, (*row, _hashed(given.session)))
    return _saved((added.lastrowid, *row))


def _withdrawn(db: sqlite3.Connection, annotator: str, session: str) -> Saved | None:
    last = "annotator = ? AND session = ? AND withdrawn = 0 ORDER BY id DESC LIMIT 1"
    found = db.execute(f"SELECT {_COLUMNS} FROM answers WHERE {last}", (annotator, session)).fetchone()  # noqa: S608
    if found is None:
        return None
    db.execute("UPDATE answers SET withdrawn = 1 WHERE id = ?", (found[0],))
    return _saved(found)


def _saved(row: Any) -> Saved:
    number, item, annotator, kind, label, how, time, seconds = row
    return Saved(number, item, annotator, Answer(Kind(kind), label), how, time, seconds)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
