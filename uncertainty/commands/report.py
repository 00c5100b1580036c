"""`uncertainty report`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.column_options import with_label_columns
from uncertainty.commands.network_options import NetworkOptions, with_screener_options
from uncertainty.commands.options import (
    Overwrite,
    Screened,
)
from uncertainty.commands.shared import say, say_notes, shown_progress
from uncertainty.commands.start import Command
from uncertainty.defaults import REPORT_IMAGES
from uncertainty.images.remote import located
from uncertainty.verbs.ranges import limits

_CAM = ("grad", "guided")  # those of `report.heat`, which needs NumPy


class ReportCommand(Command):
    """Takes `--cam` with and without a kind; typer knows options that always have a value, or never."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the kind that is meant."""
        return super().parse_args(ctx, list(_with_kind(args)))


def _with_kind(args: list[str]) -> Iterator[str]:
    """Name the kind of heat maps where `--cam` stands alone.

    >>> list(_with_kind(["--cam", "out"])), list(_with_kind(["out", "--cam", "guided"])), list(_with_kind(["--cam"]))
    (['--cam', 'grad', 'out'], ['out', '--cam', 'guided'], ['--cam', 'grad'])
    """
    for one, following in pairwise([*args, ""]):
        yield one
        if one == "--cam" and following not in _CAM:
            yield "grad"


@with_label_columns
@with_screener_options
def report(
    out: Screened,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with file_name and label, class folders, or a labelling tool's export."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Where the screened images are now.")] = None,
    page: Annotated[
        Any,
        typer.Option("-o", "--out", parser=located, metavar="FILE", help="File to write; default report.html in OUT."),
    ] = None,
    most: Annotated[
        int, typer.Option(**limits("most"), help="Images in the gallery; flagged and wrong ones first.")
    ] = REPORT_IMAGES,
    screener: Annotated[Path | None, typer.Option(help="Folder that `uncertainty fit` wrote; to look again.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Its known-good images, to show the nearest ones.")] = None,
    cam: Annotated[
        str | None,
        typer.Option(
            "--cam",
            metavar="[grad|guided]",
            help="Heat maps of where the network looks: Grad-CAM (also --cam alone), or Guided Grad-CAM beside it.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    *,
    columns: Any,
    network: NetworkOptions,
) -> None:
    """Make one HTML page of a screening, which works offline: uncertainty report OUT --labels labels.csv."""
    from uncertainty.report.build import write_report
    from uncertainty.report.illustrations import illustrations

    saved = None if screener is None else network.saved(screener)
    drawing = illustrations(saved, reference, cam=cam, progress=shown_progress)
    asked: dict[str, Any] = {"labels": labels, "images": images, "path": page, "most": most, "overwrite": overwrite}
    written = write_report(out, columns=columns, illustrate=drawing, **asked)
    say_notes(written.notes)
    beside = f", with its pictures in {written.thumbs}" if written.thumbs else ""
    say(f"report written to {written.path}{beside}")
