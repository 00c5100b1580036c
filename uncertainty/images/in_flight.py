"""How many pixels are being decoded at the same time, by all threads together, whatever images declare."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MOST = 200_000_000


class InFlight:
    """Lets threads decode at the same time as long as their images have `most` pixels together; else they take turns.

    An image that has more by itself is decoded alone. Nobody waits who holds pixels already, so no two wait for each
    other.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.most, self.now, self.peak = most, 0, 0
        self._changed = threading.Condition()
        self._own = threading.local()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold what `take` takes in this thread until the end."""
        self._own.pixels = 0
        try:
            yield
        finally:
            with self._changed:
                self.now -= self._own.pixels
                self._changed.notify_all()
            del self._own.pixels

    def take(self, pixels: int) -> None:
        """Wait until there is room for an image of so many pixels; outside of `holding` there always is."""
        own: int | None = getattr(self._own, "pixels", None)
        if own is None or pixels <= own:
            return
        with self._changed:
            while own == 0 and self.now and self.now + pixels > self.most:
                self._changed.wait()
            self.now += pixels - own
            self.peak = max(self.peak, self.now)
        self._own.pixels = pixels


IN_FLIGHT = InFlight()
"""That of this process."""
