"""`uncertainty report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.options import Device, LabelColumn, Model, NameColumn, OtherSecondOpinion
from uncertainty.commands.shared import say_notes
from uncertainty.defaults import REPORT_IMAGES


def report(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with file_name and label, class folders, or a labelling tool's export."),
    ] = None,
    name_column: NameColumn = None,
    label_column: LabelColumn = None,
    images: Annotated[Path | None, typer.Option(help="Where the screened images are now.")] = None,
    page: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; default report.html in OUT.")] = None,
    most: Annotated[
        int, typer.Option(min=1, help="Images in the gallery; flagged and wrong ones first.")
    ] = REPORT_IMAGES,
    screener: Annotated[Path | None, typer.Option(help="Folder that `uncertainty fit` wrote; to look again.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Its known-good images, to show the nearest ones.")] = None,
    cam: Annotated[bool, typer.Option("--cam", help="Heat maps of where the network looks.")] = False,
    model: Model = None,
    embedder: OtherSecondOpinion = None,
    device: Device = None,
) -> None:
    """Make one HTML page of a screening, which works offline: uncertainty report OUT --labels labels.csv."""
    from uncertainty.images.manifests import Columns
    from uncertainty.report.build import write_report
    from uncertainty.report.illustrations import illustrations
    from uncertainty.screening.saved_screener import SavedScreener

    saved = None if screener is None else SavedScreener(screener, model, device, embedder=embedder)
    drawing = illustrations(saved, reference, heat=cam)
    columns = Columns(name_column, label_column)
    written = write_report(
        out,
        labels=labels,
        images=images,
        path=page,
        most=most,
        illustrate=drawing,
        columns=columns,
    )
    say_notes(written.notes)
    beside = f", with its pictures in {written.thumbs}" if written.thumbs else ""
    typer.echo(f"report written to {written.path}{beside}")
