"""From verdicts and labels to a table of slices: which images go with errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from uncertainty.evaluation.class_slices import class_slices
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.slices import SliceReport, slice_report
from uncertainty.evaluation.tables import class_slice_table, slice_table
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import folder_of, write_table
from uncertainty.written import written

SLICES, PER_CLASS = "slices.csv", "slices_per_class.csv"


@at_urls("folder")
def slices_of_folder(
    folder: Path,
    labels: Path,
    by: Sequence[str] | None = None,
    columns: Columns = USUAL,
    *,
    overwrite: bool = False,
) -> SliceReport:
    """Compare slices of the verdicts of a folder, all or those asked for, and write `slices.csv`.

    Of several labels also `slices_per_class.csv`.

    Labels that can't be used are kept apart as `evaluate_folder` does it. A `slices.csv` that holds something else is
    an InputError unless `overwrite`.
    """
    found = labelled(folder, labels, columns)
    report = slices_of(found.outcomes, found.usual, by)
    with written(folder_of(folder), [SLICES, PER_CLASS], found.of, overwrite=overwrite) as where:
        write_table(slice_table(report), where / SLICES)
        if found.outcomes.task == "multilabel":
            write_table(class_slice_table(report), where / PER_CLASS)
    return report


def slices_of(outcomes: Outcomes, usual: Mapping[str, Sequence[float]], by: Sequence[str] | None = None) -> SliceReport:
    """Compare slices of all images, and of several labels also of the images of each class."""
    report = slice_report(outcomes, usual=usual, by=by)
    return replace(report, per_class=class_slices(outcomes, usual=usual, by=by))
