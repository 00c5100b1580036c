"""Outcomes as a table: image by image what it is, what was said of it, and all else that is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.class_columns import WIDE_CLASSES, probability_columns
from uncertainty.verdicts import METADATA, QUALITY

if TYPE_CHECKING:
    import pyarrow as pa

_LEADING = ("file_name", "label", "predicted_label", "confidence", "p_wrong", "outcome", "reasons")
_TOP = 5


def listed(outcomes: Any, rows: NDArray[np.int64]) -> pa.Table:
    """Return these rows, positions (m,), in their order; the columns are those of `Outcomes.misclassified`."""
    import pyarrow as pa

    part = outcomes.take(rows)
    columns: dict[str, Any] = {
        "file_name": part.names.tolist(),
        "label": part.labels,
        "predicted_label": part.texts(part.predicted),
        **_confidence(part),
    }
    carried = [name for name in part.table.column_names if name in _LEADING or name.startswith((METADATA, QUALITY))]
    columns |= {name: part.table[name] for name in carried if name not in columns}
    if part.flagged is not None:
        columns["outcome"] = np.where(part.flagged, "caught", "missed").tolist()
    order = sorted(columns, key=lambda name: _LEADING.index(name) if name in _LEADING else len(_LEADING))
    kinds = {"confidence": pa.float32()}
    texts = dict.fromkeys(("file_name", "label", "predicted_label", "outcome"), pa.string())
    typed = {
        name: pa.array(columns[name], (texts | kinds)[name]) if isinstance(columns[name], list) else columns[name]
        for name in order
    }
    return pa.table(typed | _probabilities(part))


def _confidence(part: Any) -> dict[str, Any]:
    if "confidence" in part.table.column_names:
        return {"confidence": part.table["confidence"]}
    if part.probs is None:
        return {}
    if part.task == "multiclass":
        return {"confidence": part.probs.max(axis=1, initial=0).tolist()}
    said = part.predicted[:, : part.n_known]
    return {"confidence": np.where(said, part.probs, 1 - part.probs).min(axis=1, initial=1).tolist()}


def _probabilities(part: Any) -> dict[str, Any]:
    import pyarrow as pa

    if part.probs is None:
        return {}
    known = part.classes[: part.n_known]
    if part.n_known <= WIDE_CLASSES:
        columns = probability_columns(known, part.probs)
        return {name: pa.array(values, pa.float32()) for name, values in columns.items()}
    return {"top_probs": pa.array(list(map(partial(_top, known), part.probs)), pa.string())}


def _top(classes: Sequence[str], probs: NDArray[Any]) -> str:
    best = np.argsort(-probs, kind="stable")[:_TOP]
    return ";".join(f"{classes[k]} {probs[k]:.3g}" for k in best)
