"""Verdicts that were adapted to their batch, with p_wrong as it was before: for what compares them with calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.class_columns import decision_columns
from uncertainty.combination.decision_fit import decision_p_wrong
from uncertainty.labels.tables import encoded
from uncertainty.monitoring.baseline import rows_of_table
from uncertainty.screener.fitted import Fitted

if TYPE_CHECKING:
    import pyarrow as pa


def as_calibrated(table: pa.Table, fitted: Fitted, log_odds: pa.ChunkedArray | None = None) -> pa.Table:
    """Return adapted verdicts with p_wrong as it was before, from what they hold of each image.

    Of several labels an image that of single decisions is from their `log_odds`, the column LOG_ODDS that is kept
    beside verdicts; without it those columns are left out.
    """
    baseline, names = fitted.baseline, [e.name for e in fitted.estimators]
    signals = rows_of_table(table.to_batches(), names, baseline.context_names, baseline.temperature).signals
    columns = {"p_wrong": fitted.combiner.p_wrong(signals)}
    if fitted.decisions is None:
        return _with(table, columns)
    classes, readable = fitted.model.classes, table["error"].is_null()
    if log_odds is None:
        none = decision_columns(classes, np.empty((0, len(classes))))
        return _with(table.drop_columns([name for name in none if name in table.column_names]), columns)
    known = _lists(log_odds.filter(readable), len(classes))
    said = encoded(table["predicted_label"].filter(readable), classes, "multilabel")
    each = decision_p_wrong(fitted.decisions.experts, fitted.combiner, (known, said), signals)
    return _with(table, columns | decision_columns(classes, each))


def _lists(column: pa.ChunkedArray, length: int) -> NDArray[np.float64]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(len(column), length), dtype=np.float64)


def _with(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    """Put values of images that could be read in place of columns; the others stay null."""
    import pyarrow as pa

    readable = table["error"].is_null().to_numpy()
    for name, values in columns.items():
        field = table.schema.field(name)
        whole = spread(np.asarray(values, dtype=np.float32), readable, np.float32(np.nan))
        place = table.column_names.index(name)
        table = table.set_column(place, field, pa.array(list(whole), field.type, mask=~readable))
    return table


def spread(values: NDArray[Any], readable: NDArray[np.bool_], otherwise: np.generic) -> NDArray[Any]:
    """Put values (m, ...) at the places of readable rows (n,)."""
    spread = np.full((len(readable), *values.shape[1:]), otherwise)
    spread[readable] = values
    return spread
