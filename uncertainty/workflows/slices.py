"""From verdicts and labels to a table of slices: which images go with errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.slices import SliceReport, slice_report
from uncertainty.evaluation.tables import slice_table
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.verdicts import folder_of, write_table
from uncertainty.written import written

SLICES = "slices.csv"


def slices_of_folder(
    folder: Path,
    labels: Path,
    by: Sequence[str] | None = None,
    columns: Columns = USUAL,
    *,
    overwrite: bool = False,
) -> SliceReport:
    """Compare slices of the verdicts of a folder, all or those asked for, and write `slices.csv`.

    Labels that can't be used are kept apart as `evaluate_folder` does it. A `slices.csv` that holds something else is
    an InputError unless `overwrite`.
    """
    found = labelled(folder, labels, columns)
    report = slice_report(found.outcomes, usual=found.usual, by=by)
    with written(folder_of(folder), [SLICES], found.of, overwrite=overwrite) as where:
        write_table(slice_table(report), where / SLICES)
    return report
