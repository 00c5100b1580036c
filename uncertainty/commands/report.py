"""`uncertainty report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.shared import say_notes
from uncertainty.defaults import REPORT_IMAGES


def report(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    labels: Annotated[Path | None, typer.Option(help="CSV with file_name and label, or a folder of classes.")] = None,
    images: Annotated[Path | None, typer.Option(help="Where the screened images are now.")] = None,
    page: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; default report.html in OUT.")] = None,
    most: Annotated[
        int, typer.Option(min=1, help="Images in the gallery; flagged and wrong ones first.")
    ] = REPORT_IMAGES,
) -> None:
    """Make one HTML page of a screening, which works offline: uncertainty report OUT --labels labels.csv."""
    from uncertainty.report.build import write_report

    written = write_report(out, labels=labels, images=images, path=page, most=most)
    say_notes(written.notes)
    beside = f", with its pictures in {written.thumbs}" if written.thumbs else ""
    typer.echo(f"report written to {written.path}{beside}")
