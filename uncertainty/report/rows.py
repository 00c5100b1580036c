"""The columns of a verdict table as the report needs them, also where older or smaller tables lack some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.labels.tables import other_names
from uncertainty.report.curves import percentiles
from uncertainty.verdicts import SUGGESTED, ranks

if TYPE_CHECKING:
    import pyarrow as pa

_TOP = 3
_CLASSES = b"classes"


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a verdict table, as lists and arrays of one length, the most suspicious first.

    `p_wrong` is NaN where an image could not be read; `wrong` holds where a label says so, `labelled` where one says
    whether it is: of several labels an image where every answer is known.
    """

    table: pa.Table
    names: list[str]
    predicted: list[str | None]
    suggested: list[tuple[str, float] | None]
    label: list[str | None]
    p_wrong: NDArray[np.float64]
    confidence: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    reasons: list[list[str]]
    error: list[str | None]

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """Sort a verdict table, with or without `label` and `correct`, by suspicion."""
        table = table.take(np.argsort(ranks(table["p_wrong"].to_numpy())))
        correct = _column(table, "correct")
        return cls(
            table=table,
            names=_column(table, "file_name"),
            predicted=_column(table, "predicted_label"),
            suggested=_suggested(table),
            label=_column(table, "label"),
            p_wrong=_numbers(table, "p_wrong"),
            confidence=_numbers(table, "confidence"),
            flagged=np.array(_column(table, "flagged"), dtype=bool),
            labelled=np.array([one is not None for one in correct], dtype=bool),
            wrong=np.array([one is False for one in correct], dtype=bool),
            reasons=[one or [] for one in _column(table, "reasons")],
            error=_column(table, "error"),
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(n,) True where the classifier has answered."""
        return np.asarray(~np.isnan(self.p_wrong))

    @property
    def one_class_each(self) -> bool:
        """Whether each image has one class; with several labels an image there is no confusion matrix."""
        if "predicted_index" not in self.table.column_names:
            return True
        return bool(self.table["predicted_index"].null_count < len(self) or not self.readable.any())

    @property
    def classes(self) -> list[str]:
        """Every class there is: those the table has columns for, then others that are predicted or labels."""
        known = self.known_classes
        if not self.one_class_each:
            columns = [self.table[name] for name in ("predicted_label", "label") if name in self.table.column_names]
            return [*known, *other_names(columns, known, "multilabel")]
        others = {name for name in (*self.predicted, *self.label) if name is not None} - set(known)
        return [*known, *sorted(others)]

    @property
    def known_classes(self) -> list[str]:
        """The classes that the table has probabilities of, in their order."""
        return _known_classes(self.table)

    @property
    def estimators(self) -> list[str]:
        """Names of the estimators, in the table's order."""
        return [name.removeprefix("est_") for name in self.table.column_names if name.startswith("est_")]

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Return (n,) raw scores by estimator."""
        return {name: _numbers(self.table, f"est_{name}") for name in self.estimators}

    def standing(self) -> NDArray[np.int64]:
        """(n, estimators) how many percent of the images have a lower score; -1 where there is none."""
        columns = [percentiles(score) for score in self.scores().values()]
        return np.stack(columns, axis=1) if columns else np.empty((len(self), 0), dtype=np.int64)

    def likeliest(self, rows: Sequence[int]) -> list[list[tuple[str, float]]]:
        """Return up to three (class, probability) of some rows, the most probable first."""
        picked = self.table.take(np.asarray(rows, dtype=np.int64))
        known = _known_classes(self.table)
        if "probs" in picked.column_names and known:
            given = [row or [] for row in picked["probs"].to_pylist()]
        else:
            columns = [picked[f"prob_{name}"].to_pylist() for name in known if f"prob_{name}" in picked.column_names]
            given = [list(row) for row in zip(*columns, strict=True)] if columns else [[]] * len(rows)
        return [_largest(known, row) for row in given]


def _largest(classes: Sequence[str], probs: Sequence[float | None]) -> list[tuple[str, float]]:
    known = [(name, p) for name, p in zip(classes, probs, strict=False) if p is not None]
    return sorted(known, key=lambda pair: -pair[1])[:_TOP]


def _suggested(table: pa.Table) -> list[tuple[str, float] | None]:
    """Return what the evidence suggests in place of the prediction, and how probable it is."""
    pairs = zip(*(_column(table, name) for name in SUGGESTED), strict=True)
    return [None if label is None or p is None else (label, p) for label, p in pairs]


def _known_classes(table: pa.Table) -> list[str]:
    wide = [name.removeprefix("prob_") for name in table.column_names if name.startswith("prob_")]
    told = (table.schema.metadata or {}).get(_CLASSES)
    return wide or (list(map(str, json.loads(told))) if told else [])


def _column(table: pa.Table, name: str) -> list[Any]:
    return list(table[name].to_pylist()) if name in table.column_names else [None] * table.num_rows


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    values = [np.nan if value is None else value for value in _column(table, name)]
    return np.asarray(values, dtype=np.float64)
