"""How far long work is, for whoever wants to show it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

Advance = Callable[[int], None]
"""To be called with the number of images just done."""
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""(what is done, images in all) to a context in which it can be advanced."""


def silent(what: str, total: int) -> AbstractContextManager[Advance]:
    """Show nothing."""
    return nullcontext(lambda done: None)


_EVERY = 0.5  # seconds


@contextmanager
def advancing(wanted: Advance | bool | None, images: Any) -> Iterator[Advance]:
    """Yield a function to call with the number of images just done: the one wanted; for True one that shows a line.

    The line is on standard error, and says how many of `images`, where they can be counted, and how fast.
    """
    if wanted is not True:
        yield wanted if callable(wanted) else lambda done: None
        return
    shown = _Line(len(images) if hasattr(images, "__len__") else None)
    try:
        yield shown
    finally:
        shown.end()


@contextmanager
def line(what: str, total: int) -> Iterator[Advance]:
    """Show a line on standard error, written over itself, a `Progress`."""
    shown = _Line(total, what)
    try:
        yield shown
    finally:
        shown.end()


class _Line:
    """One line that is written over itself, in a terminal and in a notebook."""

    def __init__(self, total: int | None, what: str = "") -> None:
        self.what, self.total, self.done, self.began, self.shown = what, total, 0, time.monotonic(), 0.0

    def __call__(self, done: int) -> None:
        self.done += done
        if time.monotonic() - self.shown > _EVERY:
            self.write()

    def write(self) -> None:
        """Write how far the work is."""
        self.shown = time.monotonic()
        speed = self.done / max(self.shown - self.began, 1e-9)
        of_all = "" if self.total is None else f" of {self.total}"
        sys.stderr.write(f"\r{self.what and self.what + ': '}{self.done}{of_all} images, {speed:.0f} a second")
        sys.stderr.flush()

    def end(self) -> None:
        """Write it for the last time."""
        self.write()
        sys.stderr.write("\n")
