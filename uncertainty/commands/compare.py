"""`uncertainty compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.column_options import with_grouped_columns
from uncertainty.commands.options import (
    Labels,
    Overwrite,
    Resamples,
    ResamplesSeed,
    Screened,
)
from uncertainty.commands.shared import console, say, say_kept_apart
from uncertainty.images.remote import located


@with_grouped_columns
def compare(
    a: Screened,
    b: Annotated[
        Any, typer.Argument(parser=located, metavar="OUT_B", help="The same of another run or another model.")
    ],
    labels: Labels,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")] = Path("comparison"),
    resamples: Resamples = 1000,
    seed: ResamplesSeed = 0,
    overwrite: Overwrite = False,
    *,
    columns: Any,
) -> None:
    """Say what run B fixed and broke against run A: uncertainty compare OUT_A OUT_B --labels labels.csv."""
    from uncertainty.commands.findings_text import (
        comparison_table,
        comparison_text,
        decision_changes,
        decision_changes_text,
    )
    from uncertainty.workflows.compare import compare_folders, files_of

    found = compare_folders(a, b, labels, out, columns, overwrite=overwrite, seed=seed, resamples=resamples)
    console().print(comparison_table(found))
    say(comparison_text(found))
    if found.decisions is not None:
        console().print(decision_changes(found.decisions))
        say(decision_changes_text(found.decisions))
    say_kept_apart(out)
    say(f"{', '.join(files_of(found))} written to {out}")
