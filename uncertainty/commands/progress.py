"""How far long work is, on standard error: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

EVERY = 30.0
"""Seconds between two lines."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of images just done."""
    if not sys.stderr.isatty():
        yield _Lines(what, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(done: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, advance=done, rate=f"{speed:.0f} images/s" if speed else "")

        yield advance


class _Lines:
    """Counts, and says so every half minute, so that a log of short work stays empty."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.begun = self.said = time.monotonic()

    def __call__(self, done: int) -> None:
        self.done += done
        now = time.monotonic()
        # What follows the last image has no count and may take minutes, so the last line of long work never waits.
        seen = self.done >= self.total > self.done - done and now - self.begun >= EVERY
        if not seen and now - self.said < EVERY:
            return
        self.said, speed = now, self.done / (now - self.begun)
        left = f", {_duration((self.total - self.done) / speed)} left" if speed and self.done < self.total else ""
        left = ", now what they say together" if seen else left
        typer.echo(f"note: {self.what}: {self.done} of {self.total} images, {speed:.3g} a second{left}", err=True)


def _duration(seconds: float) -> str:
    """Return a time in words.

    >>> _duration(50), _duration(100), _duration(7300)
    ('50 s', '2 min', '2 h 2 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
