"""What several commands do: load what was saved, show progress, say notes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from uncertainty.classifiers import Classifier
    from uncertainty.images.sources import ImageSet
    from uncertainty.screener import Screener


def classifier_of(
    model: str, classes: Path | None, embedder: str | None, device: str | None, autocast: str | None = None
) -> Classifier:
    """Load a model spec, with names for its classes and a second opinion where there are any.

    A precision becomes part of the spec, so that a screener of this classifier runs it alike.
    """
    from uncertainty.classifiers import Classifier
    from uncertainty.classifiers.class_names import read_class_names

    if autocast is not None:
        model = f"{model}{'&' if '?' in model else '?'}autocast={autocast}"
    classifier = Classifier.load(model, classes=read_class_names(classes) if classes else None, device=device)
    return classifier if embedder is None else classifier.with_embedder(embedder, device=device)


def forward_passes(good: ImageSet | None, labelled: ImageSet, *shares: float) -> int:
    """How many images a fit classifies: reference, calibration, and a copy of calibration for each share above 0."""
    copies = sum(share > 0 for share in shares)
    n_good = len(labelled) // 2 if good is None else len(good)
    n_calibration = len(labelled) - n_good if good is None else len(labelled)
    return n_good + n_calibration * (1 + copies)


def loaded(folder: Path, model: str | None, device: str | None) -> Screener:
    """Load a screener with the classifier that it was fitted with."""
    from uncertainty.screening.part_tables import load_screener

    return load_screener(folder, model, device)


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
