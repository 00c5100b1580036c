"""What several commands do: show progress, say notes, print tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer


def say_notes(notes: Any) -> None:
    """Print notes to standard error."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def say_kept_apart(folder: Path) -> None:
    """Say that labels could not be used, where a file of them was written."""
    from uncertainty.evaluation.matching import KEPT_APART

    if (folder / KEPT_APART).exists():
        say_notes([f"labels that can't be used are named in {folder / KEPT_APART}"])


def console() -> Any:
    """Return where tables are printed: as wide as the terminal, or 160 characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def shown_progress(what: str, total: int) -> Any:
    """Show how far long work is, where standard error is a terminal."""
    from uncertainty.commands.progress import progress

    return progress(what, total)
