"""A SQLite file that one thread writes and many read: what was acknowledged outlasts a crash and a power cut."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from uncertainty.errors import InputError, in_one_line
from uncertainty.service.problems import Refused, busy

Answer = TypeVar("Answer")
Work = Callable[[sqlite3.Connection], Answer]

_PATIENCE = 5.0  # seconds for another process that holds the file
_TOGETHER = 64
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_STOP = None


class SqliteFile:
    """A database in WAL mode. What is written together is committed together, and answered once it is on the disk.

    Raises InputError where the file can't be opened or holds something else than `tables` say.
    """

    def __init__(self, path: Path, tables: str, version: int) -> None:
        self.path = path
        self._waiting: queue.Queue[tuple[Work[Any], Future[Any]] | None] = queue.Queue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._opened()
            self._prepare(tables, version)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{path} can't be used as a store: {in_one_line(error)}; give another file") from error
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def _opened(self) -> sqlite3.Connection:
        # Transactions begin with a word of ours: one that has read and then writes fails at once beside another writer.
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _prepare(self, tables: str, version: int) -> None:
        self._writer.execute("PRAGMA journal_mode=WAL")
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        others = self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if found != version and (found or others):
            raise InputError(f"{self.path} holds something else, or is of another release; give another file")
        self._writer.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version={version}; COMMIT;")

    def write(self, work: Work[Answer]) -> Future[Answer]:
        """Do something in a transaction; the answer comes once it is committed.

        It raises what `work` raises, which is undone, or Refused: 503 where the file is locked, 507 where the disk is
        full.
        """
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()
        self._waiting.put((work, future))
        return future

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state, however long it reads; others go on writing."""
        try:
            connection = self._opened()
        except sqlite3.Error as error:
            raise refused(error) from error
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise refused(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        self._waiting.put(_STOP)
        self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not _STOP:
            group = [first]
            while len(group) < _TOGETHER and not self._waiting.empty():
                if (more := self._waiting.get()) is _STOP:
                    self._waiting.put(_STOP)
                    break
                group.append(more)
            self._commit(group)

    def _commit(self, group: Sequence[tuple[Work[Any], Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for work, future in group:
                self._writer.execute("SAVEPOINT one")
                try:
                    done.append((future, work(self._writer)))
                except sqlite3.OperationalError:
                    raise
                except Exception as error:  # of this one alone
                    self._writer.execute("ROLLBACK TO one")
                    future.set_exception(error)
                self._writer.execute("RELEASE one")
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            for _, future in group:
                if not future.done():
                    future.set_exception(refused(error))
            return
        for future, answer in done:
            future.set_result(answer)

    def _undo(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")


def refused(error: sqlite3.Error) -> Refused:
    """Return how a request is answered that the database failed."""
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind in _FULL:
        return Refused(507, "store_full", "what was asked to be kept can't be: the disk is full or can't be written")
    return busy("store_busy", "what was asked to be kept can't be kept now; try again", 2)
