"""What several commands do: show progress, say notes, print tables."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from uncertainty.errors import printable
from uncertainty.images.remote import AnyFile

_LONGEST, _END = 1000, 250


def say_notes(notes: Any) -> None:
    """Print notes to standard error, one line each; what a terminal would obey is shown, not sent."""
    for note in notes:
        typer.echo(f"note: {plainly(note)}", err=True)


def plainly(text: str) -> str:
    r"""Return text in one line, with everything escaped that would disturb a terminal.

    Where it quotes a value as long as a page, the middle is left out.

    >>> plainly("Käfer\x1b[2J\nand more")
    'Käfer\\x1b[2J and more'
    >>> len(plainly("x" * 300_000))
    1000
    """
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - _END - 3]} … {line[-_END:]}"
    return printable(line)


def say(text: str, *, err: bool = False) -> None:
    """Print text, of which only the line breaks are sent to the terminal as they are."""
    typer.echo("\n".join(map(printable, text.split("\n"))), err=err)


@contextmanager
def listened() -> Iterator[list[str]]:
    """Yield a list of the warnings that the library gives meanwhile, which are printed as they come."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("uncertainty")
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)


def say_kept_apart(folder: AnyFile) -> None:
    """Say that labels could not be used, where a file of them was written."""
    from uncertainty.evaluation.matching import KEPT_APART
    from uncertainty.storage.objects import sizes

    there = (folder / KEPT_APART).exists() if isinstance(folder, Path) else KEPT_APART in sizes(folder)
    if there:
        say_notes([f"labels that can't be used are named in {folder / KEPT_APART}"])


def console() -> Any:
    """Return where tables are printed: as wide as the terminal, or 160 characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def shown_progress(what: str, total: int) -> Any:
    """Show how far long work is: a bar on a terminal, elsewhere a line every half minute."""
    from uncertainty.commands.progress import progress

    return progress(what, total)
