"""`uncertainty screen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.options import BatchSize, Budget, Device, Format, Model, Out, Workers
from uncertainty.commands.shared import loaded, say_notes, shown_progress
from uncertainty.defaults import BATCH_SIZE, WORKERS


def screen(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[Path, typer.Argument(help="Image, folder, manifest, or Parquet with images.")],
    out: Out,
    model: Model = None,
    budget: Budget = None,
    format: Annotated[Format, typer.Option(help="Of the verdicts.")] = Format.PARQUET,
    device: Device = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
) -> None:
    """Screen images: uncertainty screen SCREENER INPUT -o OUT."""
    from uncertainty.pipeline import screen_into
    from uncertainty.sources import find_images

    fitted = loaded(screener, model, device)
    fitted = fitted if budget is None else fitted.with_budget(budget)
    found = find_images(images)
    with shown_progress("screening", len(found)) as progress:
        summary = screen_into(
            out, fitted, found, ending=f".{format}", progress=progress, batch_size=batch_size, workers=workers
        )
    say_notes(fitted.notes)
    if seen := summary["provenance"]["images_that_fitted_the_screener"]:
        say_notes([f"{seen} of these images fitted the screener; their p_wrong is too low to be trusted"])
    if summary["drift"]["alarm"]:
        say_notes([summary["drift"]["in_words"]])
    typer.echo(
        f"{summary['images']} images: {summary['flagged']} flagged, {summary['unreadable']} of them unreadable; about "
        f"{summary['predicted_errors']:.0f} errors expected\n{fitted.describe()}\nverdicts written to {out}"
    )
