"""Findings as tables for files: a row a pair of classes, a class, a slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from uncertainty.evaluation.confusion import ClassReport, ClassRow, Pair
from uncertainty.evaluation.decision_comparison import DecisionComparison
from uncertainty.evaluation.decision_quality import DecisionReport, DecisionRow
from uncertainty.evaluation.paired import Paired
from uncertainty.evaluation.slices import ClassSlice, Slice, SliceReport

if TYPE_CHECKING:
    import pyarrow as pa

_PAIRED = ("accuracy", "auroc", "brier")
_MIXES = (
    *("labels_of_false_positives", "predictions_of_false_negatives"),
    *("beside_false_positives", "beside_false_negatives"),
)


def pair_table(report: ClassReport) -> pa.Table:
    """Return one row a pair of classes that were confused."""
    return _table(Pair, map(vars, report.confused_pairs))


def class_table(report: ClassReport) -> pa.Table:
    """Return one row a class, its thresholds as numbers and what it is confused with as text."""
    return _table(ClassRow, map(_flat, report.per_class)).rename_columns({"class_name": "class"})


def decision_table(report: DecisionReport) -> pa.Table:
    """Return one row a class: how good its decisions were, and how well their errors were told."""
    return _table(DecisionRow, map(vars, report.per_class)).rename_columns({"class_name": "class"})


def decision_change_table(found: DecisionComparison) -> pa.Table:
    """Return one row a class of two runs: of each interval both values, the change, and the ends of that."""
    import pyarrow as pa

    listed = found.per_class
    counted = [name for name in vars(listed[0]) if name not in _PAIRED] if listed else []
    columns = {name: pa.array([getattr(one, name) for one in listed]) for name in counted}
    for measure in _PAIRED:
        cells = [_cells(getattr(one, measure)) for one in listed]
        for k, what in enumerate(("a", "b", "change", "low", "high")):
            columns[f"{measure}_{what}"] = pa.array([row[k] for row in cells], pa.float64())
    return pa.table({"class" if name == "class_name" else name: column for name, column in columns.items()})


def class_slice_table(report: SliceReport) -> pa.Table:
    """Return one row a class and slice of its images, the surest first."""
    return _table(ClassSlice, map(vars, report.per_class)).rename_columns({"class_name": "class"})


def slice_table(report: SliceReport) -> pa.Table:
    """Return one row a slice, without what is nested in it."""
    nested = ("macro", "confused_pairs")
    rows = [{k: v for k, v in vars(one).items() if k not in nested} for one in report.slices]
    rows = [row | {"overlaps": [f"{name} {share:.2f}" for name, share in row["overlaps"]]} for row in rows]
    return _table(Slice, rows)


def _table(kind: type, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return one row for each dataclass of a kind, without the fields that the rows leave out."""
    import pyarrow as pa

    listed = list(rows)
    names = [field.name for field in fields(kind) if not listed or field.name in listed[0]]
    return pa.table({name: [row[name] for row in listed] for name in names})


def _cells(pair: Paired | None) -> list[float | None]:
    """Return the value of A, of B, the change, and the ends of its interval; None for what can't be said."""
    if pair is None:
        return [None] * 5
    change = pair.difference
    values = [None if one is None else one.value for one in (pair.a, pair.b, change)]
    return [*values, *([None, None] if change is None or not change.known else [change.low, change.high])]


def _flat(row: ClassRow) -> dict[str, Any]:
    thresholds = {name: getattr(row, name) for name in ("threshold_for_precision", "threshold_for_recall")}
    mixes = {name: getattr(row, name) for name in _MIXES}
    return (
        vars(row)
        | {name: None if point is None else point.threshold for name, point in thresholds.items()}
        | {name: [f"{label} {count}" for label, count in mix] for name, mix in mixes.items()}
    )
