"""What several commands do: load what was saved, show progress, say notes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from uncertainty.classifiers import Classifier
    from uncertainty.screener import Screener
    from uncertainty.sources import ImageSet


def classifier_of(model: str, classes: Path | None, embedder: str | None, device: str | None) -> Classifier:
    """Load a model spec, with names for its classes and a second opinion where there are any."""
    from uncertainty.classifiers import Classifier
    from uncertainty.labels import read_class_names

    classifier = Classifier.load(model, classes=read_class_names(classes) if classes else None, device=device)
    return classifier if embedder is None else classifier.with_embedder(embedder, device=device)


def forward_passes(good: ImageSet | None, labelled: ImageSet, copies: int) -> int:
    """How many images a fit classifies: reference, calibration, and so many copies of calibration."""
    n_good = len(labelled) // 2 if good is None else len(good)
    n_calibration = len(labelled) - n_good if good is None else len(labelled)
    return n_good + n_calibration * (1 + copies)


def loaded(folder: Path, model: str | None, device: str | None) -> Screener:
    """Load a screener with the classifier that it was fitted with."""
    from uncertainty.screening import load_screener

    return load_screener(folder, model, device)


def say_notes(notes: Any) -> None:
    """Print notes to standard error."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def console() -> Any:
    """Return where tables are printed: as wide as the terminal, or 160 characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def shown_progress(what: str, total: int) -> Any:
    """Show how far long work is, where standard error is a terminal."""
    from uncertainty.progress import progress

    return progress(what, total)
