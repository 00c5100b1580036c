"""From verdicts and labels to a table of slices: which images go with errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.slices import SliceReport, slice_report
from uncertainty.evaluation.tables import slice_table
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.verdicts import folder_of, write_table


def slices_of_folder(
    folder: Path, labels: Path, by: Sequence[str] | None = None, columns: Columns = USUAL
) -> SliceReport:
    """Compare slices of the verdicts of a folder, all or those asked for, and write `slices.csv`.

    Labels that can't be used are kept apart as `evaluate_folder` does it.
    """
    found = labelled(folder, labels, columns)
    report = slice_report(found.outcomes, usual=found.usual, by=by)
    write_table(slice_table(report), folder_of(folder) / "slices.csv")
    return report
