"""A loaded screener and the one thread that runs its network, on images of many requests together."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from uncertainty.classifiers.base import ArrayItem, Classifier
from uncertainty.classifiers.held_network import held
from uncertainty.classifiers.image_loader import Loaded
from uncertainty.errors import ModelError, in_one_line
from uncertainty.files import plain
from uncertainty.screener import Screener
from uncertainty.screener.nearest_known_good import KnownGood
from uncertainty.service.problems import busy, without_paths
from uncertainty.service.settings import Batching
from uncertainty.verdicts import ranks
from uncertainty.workflows.explain import explained

logger = logging.getLogger("uncertainty")
_WEIGHT = 0.2
"""Of the newest batch in the mean of how long an image takes."""
_GREY = 64
"""Pixels of a side of the picture that a lane begins with."""

Answer = TypeVar("Answer")


Watcher = Callable[[pa.Table, float], None]
"""Takes the verdict rows of each batch, and how many seconds it took."""


@dataclass(frozen=True)
class Judged:
    """The images of one request: verdict rows as `screen` has them, in the order given, and content digests."""

    rows: list[dict[str, Any]]
    digests: list[str]
    schema: pa.Schema


@dataclass
class _Asked:
    """A request whose images are under way."""

    names: list[str]
    future: Future[Judged]
    explain: bool = False
    rows: list[Any] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    left: int = 0

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # whoever goes away does not cancel what others wait for
        self.left = len(self.names)
        self.rows, self.digests = [None] * self.left, [""] * self.left


@dataclass(frozen=True)
class _Image:
    """One image that is ready for the network."""

    loaded: Loaded
    asked: _Asked
    position: int

    @property
    def name(self) -> str:
        return self.asked.names[self.position]

    def fail(self) -> None:
        if not self.asked.future.done():  # another image of the same request may have failed
            self.asked.future.set_exception(busy("not_judged", "the images could not be judged; try again", 5))


class Lane:
    """Judges images as they come: decoded in threads, classified in batches of whatever is there.

    A batch is begun as soon as the network is free. Only while others are being decoded a decoded image waits for
    them: `Batching.wait` where they fill a batch, and the less the fewer there are. Where no request would be complete
    yet, nobody is kept waiting by it: a quarter of a batch is waited for, since small ones cost more an image. A row
    does not depend on the batch that it was judged in.
    """

    def __init__(self, screener: Screener, batching: Batching, watcher: Watcher | None = None) -> None:
        self.screener, self.batching = screener, batching
        self.classifier: Classifier = held(_classifier_of(screener), evaluated=True)
        self.load, self._look = self.classifier.loader(), screener.look(batch_size=batching.batch_size)
        self.schema, self._good = screener.schema(), KnownGood.of(screener)
        self._watcher = watcher
        self._decoders = ThreadPoolExecutor(batching.workers, thread_name_prefix="decode")
        self._changed = threading.Condition()
        self._ready: deque[_Image] = deque()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._first = 0.0
        self._decoding = self._pending = 0
        self._seconds = 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Images that were accepted and are not judged yet."""
        return self._pending

    def submit(self, items: Sequence[ArrayItem], *, explain: bool = False) -> Future[Judged]:
        """Accept images, whose names need not differ.

        Refused, with when to come again, where the queue is full, the screener was replaced or the service ends.
        With `explain` a row is what `workflows.explain` says of the image.
        """
        asked = _Asked([item.name for item in items], Future(), explain)
        self._accept(len(items), decoding=len(items))
        for position, item in enumerate(items):
            self._decoders.submit(self._decode, item, asked, position)
        return asked.future

    def call(self, run: Callable[[], Answer]) -> Future[Answer]:
        """Run something that takes the network, between batches; it counts as one image of the queue."""
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:  # which one thread may enter again
            self._accept(1)
            self._calls.append((run, future))
            self._changed.notify()
        return future

    def warm(self) -> pa.Table:
        """Return the row of a grey picture: what libraries load at first use, no request waits for then."""
        item = ArrayItem("grey", np.full((_GREY, _GREY, 3), 128, np.uint8))
        return self.call(lambda: self._table([self.load(item)])).result()

    def close(self) -> None:
        """Finish what was accepted, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._decoders.shutdown(wait=True)

    def _accept(self, images: int, decoding: int = 0) -> None:
        with self._changed:
            if self._closing:
                raise busy("replaced", "the screener was replaced, or the service ends; try again")
            if self._pending + images > self.batching.queue:
                full = f"{self._pending} images are waiting, and {self.batching.queue} may"
                raise busy("queue_full", full, self._pending * self._seconds)
            self._pending += images
            self._decoding += decoding

    def _decode(self, item: ArrayItem, asked: _Asked, position: int) -> None:
        try:
            loaded = self.load(item)
        except Exception as error:  # a reader's own fault: this image fails, whatever it was
            logger.error("an image could not be loaded: %s", in_one_line(error))
            loaded = Loaded(item, error="can't be decoded")
        with self._changed:
            if not self._ready:
                self._first = time.monotonic()
            self._ready.append(_Image(loaded, asked, position))
            self._decoding -= 1
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while (patience := self._patience()) > 0:
                    self._changed.wait(None if patience == float("inf") else patience)
                calls = [self._calls.popleft() for _ in range(len(self._calls))]
                group = [self._ready.popleft() for _ in range(min(len(self._ready), self.batching.batch_size))]
                self._first = time.monotonic()
                if not calls and not group:
                    return
            for run, future in calls:
                _answer(run, future)
            if group:
                self._judge(group)
            with self._changed:
                self._pending -= len(group) + len(calls)

    def _patience(self) -> float:
        """Return for how many seconds more to wait: 0 where there is something to be done now."""
        if self._calls or len(self._ready) >= self.batching.batch_size:
            return 0
        if not self._ready:
            return 0 if self._closing and not self._decoding else float("inf")
        if not self._decoding:
            return 0
        if len(self._ready) < self.batching.batch_size // 4 and not self._completes():
            return float("inf")
        # A share of the wait: where two images are under way one gains little by going with the other.
        full = min(1.0, (len(self._ready) + self._decoding) / self.batching.batch_size)
        return max(0.0, self._first + full * self.batching.wait - time.monotonic())

    def _completes(self) -> bool:
        """Return whether any request would have all its answers once what is ready is judged."""
        ready = Counter(id(one.asked) for one in self._ready)
        return any(ready[id(one.asked)] == one.asked.left for one in self._ready)

    def _judge(self, group: list[_Image]) -> None:
        for number, one in enumerate(group):
            one.loaded.item = renamed(one.loaded.item, str(number))
        for some in _apart(group):
            try:
                rows = self._explained(some[0]) if some[0].asked.explain else self._screened(some)
            except Exception as error:  # one image can't do that, see `attempted`: no memory, or a device that broke
                logger.error("a batch could not be judged: %s", in_one_line(error))
                for one in some:
                    one.fail()
            else:
                for row, one in zip(rows, some, strict=True):
                    self._hand_over(row, one)

    def _screened(self, group: list[_Image]) -> list[dict[str, Any]]:
        begun = time.monotonic()
        table = self._table([one.loaded for one in group])
        names = pa.array([one.name for one in group], pa.string())
        table = table.set_column(table.column_names.index("file_name"), "file_name", names)
        rows: list[dict[str, Any]] = table.to_pylist()
        seconds = time.monotonic() - begun
        self._seconds += _WEIGHT * (seconds / len(group) - self._seconds)
        if self._watcher is not None:
            self._watcher(table, seconds)
        return rows

    def _table(self, images: list[Loaded]) -> pa.Table:
        return self.screener.verdict_rows(self.classifier.batch_of(images, self._look))

    def _explained(self, one: _Image) -> list[dict[str, Any]]:
        batch = self.classifier.batch_of([one.loaded], self._look)
        told = [found.called(one.name) for found in explained(self.screener, batch, self._good)]
        return [plain(found) | {"words": found.words()} for found in told]

    def _hand_over(self, row: dict[str, Any], one: _Image) -> None:
        asked = one.asked
        row["error"] = None if row["error"] is None else without_paths(row["error"])
        asked.rows[one.position], asked.digests[one.position] = row, one.loaded.digest
        asked.left -= 1
        if asked.left or asked.future.done():
            return
        if not asked.explain:
            _rank(asked.rows)
        asked.future.set_result(Judged(asked.rows, asked.digests, self.schema))


def _rank(rows: list[dict[str, Any]]) -> None:
    p_wrong = np.array([np.nan if row["p_wrong"] is None else row["p_wrong"] for row in rows])
    for row, rank in zip(rows, ranks(p_wrong).tolist(), strict=True):
        row["rank"] = rank


def _apart(group: list[_Image]) -> list[list[_Image]]:
    """Return images that are judged together, and each that is to be explained by itself."""
    together = [one for one in group if not one.asked.explain]
    return [*([together] if together else []), *([one] for one in group if one.asked.explain)]


def renamed(item: Any, name: str) -> Any:
    """Return an item under another name."""
    return item._replace(name=name) if isinstance(item, ArrayItem) else replace(item, name=name)


def _classifier_of(screener: Screener) -> Classifier:
    if screener.classifier is None:
        raise ModelError("this screener was fitted on a table of outputs and has no network; screen tables with it")
    return screener.classifier


def _answer(run: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(run())
    except Exception as error:  # whoever asked gets to see it
        future.set_exception(error)
