"""From the verdicts of two runs and labels to files: what the second fixed and broke against the first."""

from __future__ import annotations

from pathlib import Path

from uncertainty.evaluation.comparison import Comparison, compare
from uncertainty.evaluation.labelled_folder import classes_of
from uncertainty.evaluation.matching import returned_labels
from uncertainty.evaluation.screening_quality import join_labels
from uncertainty.files import together, write_json
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.verdicts import Verdicts, metadata_of_rows, write_table


def compare_folders(
    a: Path, b: Path, labels: Path, out: Path, columns: Columns = USUAL, *, seed: int = 0, resamples: int = 1000
) -> Comparison:
    """Compare the verdicts of two folders and write `comparison.json`, `fixed.csv` and `broken.csv` into a third.

    `columns` may have a grouping, by columns of the first run.
    """
    verdicts = [Verdicts.read(folder) for folder in (a, b)]
    known = [
        returned_labels(labels, one.table, classes_of(one, folder), columns)
        for one, folder in zip(verdicts, (a, b), strict=True)
    ]
    tables = [join_labels(one.table, told.labels) for one, told in zip(verdicts, known, strict=True)]
    groups = columns.grouping.of(tables[0]["file_name"].to_pylist(), metadata_of_rows(tables[0]))
    found = compare(*tables, seed=seed, resamples=resamples, groups=groups)
    known[0].write(out)
    with together(out, "comparison") as where:
        write_json(where / "comparison.json", found.to_json())
        for name, table in (("fixed", found.fixed), ("broken", found.broken)):
            write_table(table, where / f"{name}.csv")
    return found
