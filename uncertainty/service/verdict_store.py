"""Verdicts that are kept: one row an image, read back, filtered, and exported as every command reads them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from uncertainty.service.lanes import Judged
from uncertainty.service.problems import Refused
from uncertainty.service.sqlite_file import SqliteFile
from uncertainty.verdicts import ranks, write_batches

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS artifacts (screen_id TEXT PRIMARY KEY, screener TEXT NOT NULL, columns BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, screener TEXT NOT NULL, screen_id TEXT NOT NULL,
    key TEXT UNIQUE, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY, request INTEGER NOT NULL REFERENCES requests (id), time REAL NOT NULL,
    screen_id TEXT NOT NULL, digest TEXT NOT NULL, file_name TEXT NOT NULL, p_wrong REAL, flagged INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS of_request ON verdicts (request);
CREATE INDEX IF NOT EXISTS of_artifact ON verdicts (screen_id, id);
"""
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Origin:
    """Where rows come from: the screener's name, the client's idempotency key if any, and a digest of what it sent."""

    screener: str
    key: str | None
    body: str


@dataclass(frozen=True)
class Wanted:
    """Which kept verdicts: None and "" are all; times are seconds since 1970, `after` is the last id seen."""

    screener: str | None = None
    screen_id: str | None = None
    flagged: bool | None = None
    since: float | None = None
    until: float | None = None
    file_name: str | None = None
    after: int = 0
    limit: int = 1000

    def clause(self) -> tuple[str, list[Any]]:
        """Return a condition on verdicts `v` of requests `r`, and its values."""
        known = {
            "r.screener = ?": self.screener,
            "v.screen_id = ?": self.screen_id,
            "v.flagged = ?": None if self.flagged is None else int(self.flagged),
            "v.time >= ?": self.since,
            "v.time < ?": self.until,
            "v.file_name = ?": self.file_name,
        }
        given = {text: value for text, value in known.items() if value is not None}
        return " AND ".join(["v.id > ?", *given]), [self.after, *given.values()]


class VerdictStore:
    """A file of verdicts, in SQLite."""

    def __init__(self, path: Path) -> None:
        self.file = SqliteFile(path, _TABLES, _VERSION)

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        self.file.close()

    def keep(self, judged: Judged, origin: Origin) -> Future[list[dict[str, Any]]]:
        """Keep the rows of a request; answered, once they are on the disk, with the rows kept under its key.

        Those are the rows of the first request of that key. Refused, 422, for a key that something else was sent under.
        """

        def work(connection: sqlite3.Connection) -> list[dict[str, Any]]:
            if (kept := _under_key(connection, origin)) is not None:
                return kept
            _insert(connection, judged, origin, time.time())
            return judged.rows

        return self.file.write(work)

    def under_key(self, origin: Origin) -> list[dict[str, Any]] | None:
        """Return the rows that were kept under a key; None where none were."""
        with self.file.reading() as connection:
            return _under_key(connection, origin)

    def rows(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Return kept verdicts in the order of their keeping, with id, time, screener and digest."""
        where, values = wanted.clause()
        query = (
            "SELECT v.id, v.time, r.screener, v.digest, v.content FROM verdicts v JOIN requests r ON r.id = v.request "  # noqa: S608
            f"WHERE {where} ORDER BY v.id LIMIT ?"
        )
        with self.file.reading() as connection:
            found = connection.execute(query, [*values, wanted.limit]).fetchall()
        names = ("id", "time", "screener", "digest")
        return [dict(zip(names, row, strict=False)) | {"verdict": json.loads(row[4])} for row in found]

    def export(self, path: Path, wanted: Wanted) -> int:
        """Write kept verdicts of one artifact as a table of verdicts, ranked among themselves; return how many.

        Of an image that was sent several times, the same bytes under the same name, the newest verdict counts. Other
        bytes under the same name get their digest into the name, since a table has each name once. Without a
        `screen_id` the newest artifact is meant. Refused, 404, where nothing is kept of it.
        """
        with self.file.reading() as connection:
            artifact = _artifact(connection, wanted)
            where, values = wanted.clause()
            chosen = (
                "SELECT max(v.id) AS id FROM verdicts v JOIN requests r ON r.id = v.request "  # noqa: S608
                f"WHERE {where} AND v.screen_id = ? GROUP BY v.file_name, v.digest"
            )
            query = f"SELECT v.* FROM verdicts v JOIN ({chosen}) c ON c.id = v.id ORDER BY v.id"  # noqa: S608
            asked = [*values, artifact[0]]
            known = connection.execute(query.replace("v.*", "v.p_wrong"), asked).fetchall()
            rank = ranks(np.array([np.nan if one is None else one for (one,) in known]))
            rows = connection.execute(query.replace("v.*", "v.file_name, v.digest, v.content"), asked)
            schema = pa.ipc.read_schema(pa.BufferReader(artifact[1]))
            write_batches(schema, _batches(rows, rank.tolist(), schema), path)
        return len(known)


def _artifact(connection: sqlite3.Connection, wanted: Wanted) -> tuple[str, bytes]:
    where, values = wanted.clause()
    query = (
        "SELECT a.screen_id, a.columns FROM verdicts v JOIN requests r ON r.id = v.request "  # noqa: S608
        f"JOIN artifacts a ON a.screen_id = v.screen_id WHERE {where} ORDER BY v.id DESC LIMIT 1"
    )
    found: tuple[str, bytes] | None = connection.execute(query, values).fetchone()
    if found is None:
        raise Refused(404, "nothing_kept", "no such verdicts are kept")
    return found


def _batches(rows: Iterator[Any], rank: Sequence[int], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    seen: set[str] = set()
    start = 0
    while some := _some(rows):
        table = []
        for (name, digest, content), place in zip(some, rank[start : start + len(some)], strict=True):
            named = name if name not in seen else with_digest(name, digest)
            seen.add(named)
            table.append(json.loads(content) | {"file_name": named, "rank": place})
        start += len(some)
        yield pa.RecordBatch.from_pylist(table, schema=schema)


def _some(rows: Iterator[Any]) -> list[Any]:
    return [row for _, row in zip(range(_ROWS_AT_ONCE), rows, strict=False)]


def with_digest(name: str, digest: str) -> str:
    """Return a name that tells two pictures of the same name apart.

    >>> with_digest("roof/1.jpg", "e4a6a0577479b2b4")
    'roof/1-e4a6a0577479b2b4.jpg'
    """
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{digest}{path.suffix}"))


def _under_key(connection: sqlite3.Connection, origin: Origin) -> list[dict[str, Any]] | None:
    if origin.key is None:
        return None
    found = connection.execute("SELECT id, body FROM requests WHERE key = ?", [origin.key]).fetchone()
    if found is None:
        return None
    if found[1] != origin.body:
        raise Refused(422, "key_reused", "something else was sent under this idempotency key")
    kept = connection.execute("SELECT content FROM verdicts WHERE request = ? ORDER BY id", [found[0]])
    return [json.loads(content) for (content,) in kept]


def _insert(connection: sqlite3.Connection, judged: Judged, origin: Origin, now: float) -> None:
    screen_id = judged.rows[0]["screen_id"]
    connection.execute(
        "INSERT OR IGNORE INTO artifacts VALUES (?, ?, ?)",
        [screen_id, origin.screener, judged.schema.serialize().to_pybytes()],
    )
    request = connection.execute(
        "INSERT INTO requests (time, screener, screen_id, key, body) VALUES (?, ?, ?, ?, ?)",
        [now, origin.screener, screen_id, origin.key, origin.body],
    ).lastrowid
    connection.executemany(
        "INSERT INTO verdicts (request, time, screen_id, digest, file_name, p_wrong, flagged, content) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (request, now, screen_id, digest, row["file_name"], row["p_wrong"], int(row["flagged"]), json.dumps(row))
            for row, digest in zip(judged.rows, judged.digests, strict=True)
        ],
    )


def digest_of_body(parts: Sequence[bytes]) -> str:
    """Return 32 hexadecimal characters that are the same for the same parts in the same order.

    >>> digest_of_body([b"ab", b"c"]) == digest_of_body([b"a", b"bc"])
    False
    """
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()
