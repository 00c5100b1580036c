"""From verdicts and labels to files: how good it was, who was wrong, class by class and slice by slice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from uncertainty.annotation.selecting import LISTED
from uncertainty.evaluation.comparison import Comparison, compare
from uncertainty.evaluation.confusion import ClassReport, ClassRow, Pair, class_report
from uncertainty.evaluation.matching import Returned, returned_labels
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.screening_quality import Evaluation, Match, evaluate, join_labels, measurable
from uncertainty.evaluation.slices import Slice, SliceReport, slice_report
from uncertainty.images.manifests import MANIFEST_SUFFIXES, read_manifest
from uncertainty.json_values import plain
from uncertainty.recalibration.sampling_weights import DesignEstimate, design_estimate
from uncertainty.screening.second_pass import read_summary
from uncertainty.verdicts import METADATA, WIDE_CLASSES, Verdicts, replacing, with_columns, write_table
from uncertainty.workflows.update import read_inclusion

_POINTS, _FEW_POINTS = 65, 20


@dataclass(frozen=True)
class Findings:
    """All that verdicts and labels tell together; `design` where the labels say with which chance images got them."""

    evaluation: Evaluation
    match: Match
    classes: ClassReport
    slices: SliceReport
    returned: Returned
    design: DesignEstimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `evaluation.json` holds."""
        labels = {
            "n_labels_without_image": self.match.labels_without_row,
            "n_labels_kept_apart": self.returned.counts,
            "design": plain(self.design),
        }
        return self.evaluation.to_json() | labels | self.classes.to_json() | {"slices": self.slices.to_json()}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Verdicts with their labels: the table, what came back and how names met, the rows that count, the classifier's
    classes (None: the files do not say), and what is usual of images."""

    table: pa.Table
    returned: Returned
    match: Match
    outcomes: Outcomes
    classes: Sequence[str] | None
    usual: Mapping[str, Sequence[float]]


def labelled(folder: Path, labels: Path) -> Labelled:
    """Read the verdicts of a folder, or one verdict table, and join labels with all their columns.

    Labels that can't be used are written beside the verdicts, to `labels_kept_apart.csv`.
    """
    verdicts, where = Verdicts.read(folder), folder if folder.is_dir() else folder.parent
    classes = _classes(verdicts, folder)
    known = returned_labels(labels, verdicts.table, classes)
    table = _with_more(join_labels(verdicts.table, known.labels), labels)
    known.write(where)
    provenance = verdicts.provenance or read_summary(where).get("provenance", {})
    outcomes = Outcomes.from_verdicts(table, classes=classes)
    return Labelled(table, known, known.match(table), outcomes, classes, provenance.get("usual_quality", {}))


def evaluate_folder(
    folder: Path, labels: Path, *, seed: int = 0, resamples: int = 1000, precision: float = 0.9, recall: float = 0.9
) -> Findings:
    """Join labels to the verdicts of a folder and write what they tell beside them.

    Files: `evaluation.json` with every number, `errors.csv`, `false_positives.csv` and `false_negatives.csv` by name,
    `per_class.csv`, `confused.csv`, `slices.csv`, and `curves.json` with the curves of each class, thinned.
    `precision` and `recall` are those for which each class's threshold is wanted.
    """
    found = labelled(folder, labels)
    findings = Findings(
        evaluate(found.table, classes=found.classes, seed=seed, resamples=resamples),
        found.match,
        class_report(found.outcomes, precision=precision, recall=recall),
        slice_report(found.outcomes, usual=found.usual),
        found.returned,
        _design(found.table, labels),
    )
    where = folder if folder.is_dir() else folder.parent
    write_json(where / "evaluation.json", findings.to_json())
    for name, table in _tables(found.outcomes, findings).items():
        write_table(table, where / f"{name}.csv")
    write_json(where / "curves.json", _curves(findings.classes))
    return findings


def _design(table: pa.Table, labels: Path) -> DesignEstimate | None:
    """Estimate the accuracy of all images from the chances in the labels; None where no chance is below 1."""
    chances = read_inclusion(labels) or {}
    rows = measurable(table).select(["file_name", "correct"]).to_pylist()
    known = [(not row["correct"], chances[row["file_name"]]) for row in rows if row["file_name"] in chances]
    wrong, chance = np.array([w for w, _ in known], dtype=bool), np.array([c for _, c in known], dtype=np.float64)
    return design_estimate(wrong, chance) if (chance < 1).any() else None


def slices_of_folder(folder: Path, labels: Path, by: Sequence[str] | None) -> SliceReport:
    """Compare slices of the verdicts of a folder, all or those asked for, and write `slices.csv`.

    Labels that can't be used are kept apart as `evaluate_folder` does it.
    """
    found = labelled(folder, labels)
    report = slice_report(found.outcomes, usual=found.usual, by=by)
    write_table(_slice_table(report), (folder if folder.is_dir() else folder.parent) / "slices.csv")
    return report


def compare_folders(a: Path, b: Path, labels: Path, out: Path, *, seed: int = 0, resamples: int = 1000) -> Comparison:
    """Compare the verdicts of two folders and write `comparison.json`, `fixed.csv` and `broken.csv` into a third."""
    verdicts = [Verdicts.read(folder) for folder in (a, b)]
    known = [
        returned_labels(labels, one.table, _classes(one, folder)) for one, folder in zip(verdicts, (a, b), strict=True)
    ]
    tables = [join_labels(one.table, told.labels) for one, told in zip(verdicts, known, strict=True)]
    found = compare(*tables, seed=seed, resamples=resamples)
    known[0].write(out)
    write_json(out / "comparison.json", found.to_json())
    for name, table in (("fixed", found.fixed), ("broken", found.broken)):
        write_table(table, out / f"{name}.csv")
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file; a crash leaves the old one or the new one."""
    with replacing(path, binary=False) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _classes(verdicts: Verdicts, folder: Path) -> Sequence[str] | None:
    return verdicts.classes or read_summary(folder if folder.is_dir() else folder.parent).get("classes")


def _with_more(table: pa.Table, labels: Path) -> pa.Table:
    """Add the further columns of a table of labels; where the verdicts have a column already, its values go first."""
    if labels.suffix.lower() not in MANIFEST_SUFFIXES or not labels.is_file():
        return table
    manifest = read_manifest(labels)
    position = {name: i for i, name in enumerate(manifest.names)}
    rows = [position.get(name) for name in table["file_name"].to_pylist()]
    # A list of `uncertainty rank` with labels: what it repeats of the verdicts is no news of the images.
    known = LISTED if set(LISTED) - {"file_name"} <= manifest.metadata.keys() else ()
    more = {METADATA + k: _looked_up(values, rows) for k, values in manifest.metadata.items() if k not in known}
    for name in more.keys() & set(table.column_names):
        old = table[name].to_pylist()
        more[name] = [before if value is None else value for before, value in zip(old, more[name], strict=True)]
    return with_columns(table, pa.table({name: pa.array(values, pa.string()) for name, values in more.items()}))


def _looked_up(values: Sequence[str | None], rows: Iterable[int | None]) -> list[str | None]:
    return [None if row is None else values[row] for row in rows]


def _tables(outcomes: Outcomes, findings: Findings) -> dict[str, pa.Table]:
    return {
        "errors": outcomes.misclassified(),
        "false_positives": outcomes.false_positives(),
        "false_negatives": outcomes.false_negatives(),
        "confused": _table(Pair, map(vars, findings.classes.confused_pairs)),
        "per_class": _table(ClassRow, map(_flat, findings.classes.per_class)).rename_columns({"class_name": "class"}),
        "slices": _slice_table(findings.slices),
    }


def _table(kind: type, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """One row for each dataclass of a kind, without the fields that the rows leave out."""
    listed = list(rows)
    names = [field.name for field in fields(kind) if not listed or field.name in listed[0]]
    return pa.table({name: [row[name] for row in listed] for name in names})


def _flat(row: ClassRow) -> dict[str, Any]:
    thresholds = {name: getattr(row, name) for name in ("threshold_for_precision", "threshold_for_recall")}
    mixes = {name: getattr(row, name) for name in ("labels_of_false_positives", "predictions_of_false_negatives")}
    return (
        vars(row)
        | {name: None if point is None else point.threshold for name, point in thresholds.items()}
        | {name: [f"{label} {count}" for label, count in mix] for name, mix in mixes.items()}
    )


def _slice_table(report: SliceReport) -> pa.Table:
    nested = ("macro", "confused_pairs")
    rows = [{k: v for k, v in vars(one).items() if k not in nested} for one in report.slices]
    rows = [row | {"overlaps": [f"{name} {share:.2f}" for name, share in row["overlaps"]]} for row in rows]
    return _table(Slice, rows)


def _curves(report: ClassReport) -> dict[str, Any]:
    most = _POINTS if report.n_known_classes <= WIDE_CLASSES else _FEW_POINTS
    return {"classes": [{"class": name, **curve.thinned(most)} for name, curve in report.curves.items()]}
