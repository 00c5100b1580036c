"""`uncertainty thresholds`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.column_options import with_columns_of_a_part
from uncertainty.commands.options import (
    Overwrite,
)
from uncertainty.commands.shared import console, say, say_notes
from uncertainty.defaults import CONFIDENCE
from uncertainty.verbs.ranges import limits

Precision = Annotated[
    float | None, typer.Option(**limits("precision"), help="Of what is said to be a class, this share shall be.")
]
Recall = Annotated[float | None, typer.Option(**limits("recall"), help="Of what is a class, this share shall be said.")]
Confidence = Annotated[
    float | None,
    typer.Option(
        **limits("confidence"),
        help=f"Of the promise, over the draw of the labelled images; default {CONFIDENCE}. 0: read off the curve.",
        show_default=False,
    ),
]


@with_columns_of_a_part
def thresholds(
    source: Annotated[
        str, typer.Argument(help="table:FILE of outputs with labels, or a folder of a screening, or its URL.")
    ],
    precision: Precision = None,
    recall: Recall = None,
    confidence: Confidence = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Promise each class by itself, and not all of them at once.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Of a screening: a table with file_name and label, or what a tool exports.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="File to write, .json or .csv.", show_default="thresholds.json beside table or verdicts"
        ),
    ] = None,
    overwrite: Overwrite = False,
    *,
    columns: Any,
) -> None:
    """Choose from which probability on each class is said: uncertainty thresholds table:val.parquet --precision 0.9."""
    from uncertainty.commands.threshold_text import threshold_lines, threshold_table
    from uncertainty.decisions.answer_thresholds import Wanted
    from uncertainty.workflows.thresholds import choose, write

    wanted = Wanted.of(precision=precision, recall=recall, confidence=confidence, together=not alone)
    found = choose(source, labels, wanted, columns)
    file = write(found, out, overwrite=overwrite)
    say_notes(found.notes)
    console().print(threshold_table(found))
    for line in threshold_lines(found):
        say(line)
    say(f"thresholds written to {file}")
