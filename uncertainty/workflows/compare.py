"""From the verdicts of two runs and labels to files: what the second fixed and broke against the first."""

from __future__ import annotations

from pathlib import Path

from uncertainty.evaluation.comparison import Comparison, compare
from uncertainty.evaluation.labelled_folder import classes_of
from uncertainty.evaluation.matching import returned_labels
from uncertainty.evaluation.screening_quality import join_labels
from uncertainty.evaluation.tables import decision_change_table
from uncertainty.files import write_json
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.storage.mirror import from_urls
from uncertainty.verdicts import Verdicts, file_of, metadata_of_rows, write_table
from uncertainty.written import fingerprint, refuse, written

DECISIONS = "decisions.csv"
FILES = ("comparison.json", "fixed.csv", "broken.csv", DECISIONS)


@from_urls("a", "b")
def compare_folders(
    a: Path,
    b: Path,
    labels: Path,
    out: Path,
    columns: Columns = USUAL,
    *,
    overwrite: bool = False,
    **resampling: int,
) -> Comparison:
    """Compare the verdicts of two folders and write `comparison.json`, `fixed.csv` and `broken.csv` into a third.

    Where images have several labels, `decisions.csv` too, with a row a class.

    `columns` may have a grouping, by columns of the first run. `resampling` are `seed` and `resamples`. Files of
    another comparison, or of something else, are an InputError unless `overwrite`.
    """
    verdicts = [Verdicts.read(folder) for folder in (a, b)]
    known = [
        returned_labels(labels, one.table, classes_of(one, folder), columns)
        for one, folder in zip(verdicts, (a, b), strict=True)
    ]
    tables = [join_labels(one.table, told.labels) for one, told in zip(verdicts, known, strict=True)]
    groups = columns.grouping.of(tables[0]["file_name"].to_pylist(), metadata_of_rows(tables[0]))
    of = fingerprint(file_of(a), file_of(b))
    refuse(out, FILES, of, overwrite=overwrite)
    found = compare(*tables, groups=groups, **resampling)
    known[0].write(out, of)
    with written(out, FILES, of, overwrite=overwrite) as where:
        write_json(where / "comparison.json", found.to_json())
        for name, table in (("fixed", found.fixed), ("broken", found.broken)):
            write_table(table, where / f"{name}.csv")
        if found.decisions is not None:
            write_table(decision_change_table(found.decisions), where / DECISIONS)
    return found


def files_of(found: Comparison) -> list[str]:
    """Return the names of the files that a comparison writes."""
    return [name for name in FILES if name != DECISIONS or found.decisions is not None]
