"""The newest verdicts of a screener: whether they have drifted, and how accurate the classifier is on them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Any

import pyarrow as pa

from uncertainty.errors import InputError
from uncertainty.files import plain
from uncertainty.monitoring.accuracy import ADAPTED
from uncertainty.monitoring.batch import Monitoring
from uncertainty.monitoring.drift import FEWEST
from uncertainty.screener import Screener
from uncertainty.screening.second_pass import monitored
from uncertainty.service.metrics import Metrics


class Window:
    """The newest rows of a screener, at most `most` of them, in the order in which they were judged."""

    def __init__(self, name: str, screener: Screener, most: int, metrics: Metrics) -> None:
        self.name, self.screener, self.most, self.metrics = name, screener, most, metrics
        self._batches: deque[pa.RecordBatch] = deque()
        self._rows = self._added = 0
        self._lock, self._working = threading.Lock(), threading.Lock()
        self._found: tuple[int, dict[str, Any]] | None = None

    def __call__(self, table: pa.Table, seconds: float) -> None:
        """Take the verdict rows of a batch, and count them."""
        with self._lock:
            for batch in table.to_batches():
                self._batches.append(batch)
            self._rows += len(table)
            self._added += len(table)
            while self._rows - len(self._batches[0]) >= self.most:
                self._rows -= len(self._batches.popleft())
        self._count(table, seconds)

    def _count(self, table: pa.Table, seconds: float) -> None:
        m, readable = self.metrics, table["error"].null_count
        unreadable = len(table) - readable
        flagged = sum(table["flagged"].to_pylist()) - unreadable
        outcomes = {"unreadable": unreadable, "flagged": flagged, "passed": readable - flagged}
        for outcome, number in outcomes.items():
            m.images.labels(self.name, outcome).inc(number)
        m.p_wrong.labels(self.name).inc(sum(p for p in table["p_wrong"].to_pylist() if p is not None))
        m.batch.labels(self.name).observe(len(table))
        m.batch_seconds.labels(self.name).inc(seconds)

    def warm(self, table: pa.Table) -> None:
        """Judge copies of a row as a window, which nobody hears of: what that loads at first use is there then."""
        with suppress(InputError):
            monitored(_in_order(table.to_batches() * FEWEST), self.screener)

    def found(self) -> dict[str, Any]:
        """Return what there is to say of the window, computed anew where rows were added since; it takes a while."""
        with self._working:
            with self._lock:
                batches, added, rows = list(self._batches), self._added, min(self._rows, self.most)
            if self._found is not None and self._found[0] == added:
                return self._found[1]
            self.metrics.window.labels(self.name).set(rows)
            told: dict[str, Any] = {"screener": self.name, "screen_id": self.screener.id, "window": rows}
            try:
                told |= self._told(monitored(_in_order(_newest(batches, self.most)), self.screener))
            except InputError as error:
                told |= {"images": 0, "words": [str(error)]}
            self._found = (added, told)
            return told

    def _told(self, found: Monitoring) -> dict[str, Any]:
        m = self.metrics
        m.alarm.labels(self.name).set(found.alarm)
        if (interval := found.accuracy.estimates.get(ADAPTED)) is not None:
            for bound in ("low", "value", "high"):
                m.accuracy.labels(self.name, bound).set(getattr(interval, bound))
        told: dict[str, Any] = plain(found.to_json())
        return told | {"alarm": found.alarm, "words": [str(line) for line in found.words()]}


def _in_order(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return rows in an order of their own: which was judged first is an accident, and the test of drift draws rows."""
    if not batches:
        return []
    found: list[pa.RecordBatch] = (
        pa.Table.from_batches(batches).sort_by([("file_name", "ascending"), ("p_wrong", "ascending")]).to_batches()
    )
    return found


def _newest(batches: list[pa.RecordBatch], most: int) -> list[pa.RecordBatch]:
    """Return the newest rows, in their order."""
    kept: list[pa.RecordBatch] = []
    left = most
    for batch in reversed(batches):
        kept.append(batch.slice(max(0, len(batch) - left)))
        left -= len(kept[-1])
        if left <= 0:
            break
    return kept[::-1]
