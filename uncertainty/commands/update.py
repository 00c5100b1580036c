"""`uncertainty update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.column_options import with_label_columns
from uncertainty.commands.options import Labels, Screened
from uncertainty.commands.shared import say, say_notes


@with_label_columns
def update(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    out: Screened,
    labels: Labels,
    new: Annotated[
        Path | None, typer.Option("-o", "--out", help="New folder. Default: SCREENER, the old one is kept beside it.")
    ] = None,
    inclusion: Annotated[
        str, typer.Option(help="Column of the labels with the chance of each image to be labelled, where it is known.")
    ] = "inclusion",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write the new screener where the labels made it worse, too.")
    ] = False,
    *,
    columns: Any,
) -> None:
    """Learn again once labels arrive, from old and new ones: uncertainty update SCREENER OUT --labels labels.csv."""
    from uncertainty.workflows.update import update_folder

    found, kept = update_folder(screener, out, labels, columns, into=new, column=inclusion, anyway=anyway)
    say_notes(found.notes)
    for line in found.words():
        say(line)
    if kept is None:
        say(f"nothing was written: {screener} tells more of these labels as it is; --anyway writes it", err=True)
        raise typer.Exit(1)
    say(f"screener {found.screener.id} written to {new or screener}; the one before is kept in {kept}")
