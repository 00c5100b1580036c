"""`uncertainty slices`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from uncertainty.commands.column_options import with_label_columns
from uncertainty.commands.options import (
    Labels,
    Overwrite,
    Screened,
)
from uncertainty.commands.shared import console, say, say_kept_apart
from uncertainty.storage.mirror import folder_at


@with_label_columns
def slices(
    out: Screened,
    labels: Labels,
    by: Annotated[
        str, typer.Option(help="Only these, e.g. dark,blurry or a column of your manifest.", show_default="all")
    ] = "",
    overwrite: Overwrite = False,
    *,
    columns: Any,
) -> None:
    """Say which images go with errors, e.g. dark ones: uncertainty slices OUT --labels labels.csv --by dark."""
    from uncertainty.commands.findings_text import base_text, class_slices_text, slice_table, slices_text
    from uncertainty.workflows.slices import slices_of_folder

    wanted = [name.strip() for name in by.split(",")] if by else None
    report = slices_of_folder(out, labels, wanted, columns, overwrite=overwrite)
    console().print(slice_table(report))
    say("\n".join(filter(None, [base_text(report), slices_text(report), class_slices_text(report)])))
    folder = folder_at(out)
    say_kept_apart(folder)
    say(f"slices.csv written to {folder}")
