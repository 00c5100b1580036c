"""The verdicts of a folder, joined with labels: what every question about labelled images begins with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.annotation.class_doubts import DOUBTFUL
from uncertainty.annotation.ranking import LISTED
from uncertainty.checks.class_columns import DECISION
from uncertainty.evaluation.matching import Returned, returned_labels
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.screening_quality import Match, join_labels
from uncertainty.images.manifests import USUAL, Columns, Manifest
from uncertainty.verdicts import METADATA, SUGGESTED, Verdicts, file_of, folder_of, read_summary, with_columns
from uncertainty.written import fingerprint

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Labelled:
    """Verdicts with their labels: the table, what came back and how names met, the rows that count, the classifier's
    classes (None: the files do not say), what made p_wrong, and the fingerprint of the file of verdicts."""

    table: pa.Table
    returned: Returned
    match: Match
    outcomes: Outcomes
    classes: Sequence[str] | None
    provenance: Mapping[str, Any]
    of: str

    @property
    def usual(self) -> Mapping[str, Sequence[float]]:
        """What is usual of images, by statistic; empty where nobody says."""
        found: Mapping[str, Sequence[float]] = self.provenance.get("usual_quality", {})
        return found


def labelled(folder: Path, labels: Path, columns: Columns = USUAL) -> Labelled:
    """Read the verdicts of a folder, or one verdict table, and join labels with all their columns.

    Labels that can't be used are written beside the verdicts, to `labels_kept_apart.csv`.
    """
    verdicts = Verdicts.read(folder)
    classes = classes_of(verdicts, folder)
    known = returned_labels(labels, verdicts.table, classes, columns)
    table = _with_more(join_labels(verdicts.table, known.labels), known.manifest)
    of = fingerprint(file_of(folder))
    known.write(folder_of(folder), of)
    provenance = verdicts.provenance or read_summary(folder).get("provenance", {})
    outcomes = Outcomes.from_verdicts(table, classes=classes)
    return Labelled(table, known, known.match(table), outcomes, classes, provenance, of)


def classes_of(verdicts: Verdicts, folder: Path) -> Sequence[str] | None:
    """Return the classifier's classes, from the verdicts or from beside them; None where neither says."""
    return verdicts.classes or read_summary(folder).get("classes")


def _with_more(table: pa.Table, manifest: Manifest | None) -> pa.Table:
    """Add the further columns of a table of labels; where the verdicts have a column already, its values go first."""
    if manifest is None:
        return table
    import pyarrow as pa

    position = {name: i for i, name in enumerate(manifest.names)}
    rows = [position.get(name) for name in table["file_name"].to_pylist()]
    # A list of `uncertainty rank` with labels: what it repeats of the verdicts is no news of the images.
    known = (*LISTED, *SUGGESTED, DOUBTFUL) if set(LISTED) - {"file_name"} <= manifest.metadata.keys() else ()
    more = {
        METADATA + k: _looked_up(values, rows)
        for k, values in manifest.metadata.items()
        if not (k in known or (known and k.startswith(DECISION)))
    }
    for name in more.keys() & set(table.column_names):
        old = table[name].to_pylist()
        more[name] = [before if value is None else value for before, value in zip(old, more[name], strict=True)]
    return with_columns(table, pa.table({name: pa.array(values, pa.string()) for name, values in more.items()}))


def _looked_up(values: Sequence[str | None], rows: Iterable[int | None]) -> list[str | None]:
    return [None if row is None else values[row] for row in rows]
