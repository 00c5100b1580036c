"""From what is known of a batch of images to its verdict rows, in the order of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Batch
from uncertainty.combiner import Combiner, Signals
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs
from uncertainty.quality import QUALITY_NAMES
from uncertainty.verdicts import probability_columns

_MOST_REASONS = 3


def judged(
    outputs: ModelOutputs,
    known: Signals,
    estimators: Sequence[Estimator],
    combiner: Combiner,
    classes: Sequence[str],
    threshold: float,
) -> dict[str, list[Any]]:
    """Return the columns of a verdict table that come from the outputs, one value a row.

    Everything is compared in float32, as it is stored, so that `flagged` is what the stored columns say.
    """
    p_wrong = combiner.p_wrong(known).astype(np.float32)
    flagged = p_wrong >= np.float32(threshold)
    columns = {
        **_prediction(outputs, classes),
        "p_wrong": p_wrong,
        "flagged": flagged.tolist(),
        "reasons": _reasons(outputs, known, estimators, combiner, flagged),
        **{f"est_{e.name}": known.scores[:, k] for k, e in enumerate(estimators)},
        **{f"quality_{QUALITY_NAMES[k]}": column for k, column in enumerate(known.context.T)},
        **probability_columns(classes, outputs.probs),
    }
    return {name: list(column) for name, column in columns.items()}


def _prediction(outputs: ModelOutputs, classes: Sequence[str]) -> dict[str, Any]:
    """Name the predicted class; multilabel: all predicted labels, and the probability of the least sure decision."""
    probs = outputs.probs
    if outputs.task == "multiclass":
        return {
            "predicted_label": [classes[int(k)] for k in outputs.predictions],
            "predicted_index": outputs.predictions,
            "confidence": probs.max(axis=1),
        }
    chosen = outputs.predictions.astype(bool)
    return {
        "predicted_label": [";".join(name for name, on in zip(classes, row, strict=True) if on) for row in chosen],
        "predicted_index": [None] * len(chosen),
        "confidence": np.where(chosen, probs, 1 - probs).min(axis=1),
    }


def _reasons(
    outputs: ModelOutputs,
    known: Signals,
    estimators: Sequence[Estimator],
    combiner: Combiner,
    flagged: NDArray[np.bool_],
) -> list[list[str]]:
    """Name, for each flagged row, what raised its p_wrong most: the combiner's largest contributions."""
    words = {e.name: e.reasons(outputs) for e in estimators}
    image = words.get("image_quality", np.full(len(outputs), "unusual_image"))
    columns = np.stack([*words.values(), image, np.full(len(outputs), "error_prone_class")], axis=1)
    rows = zip(columns.tolist(), combiner.contributions(known), flagged, strict=True)
    return [_largest(row, part) if flag else [] for row, part, flag in rows]


def _largest(words: list[str], contributions: NDArray[np.float64]) -> list[str]:
    """Add up contributions by word; keep the largest and those at least a quarter as large.

    >>> _largest(["low_margin", "low_margin", "blurry", "dark"], np.array([0.5, 0.6, 0.4, -2.0]))
    ['low_margin', 'blurry']
    """
    totals: dict[str, float] = {}
    for word, part in zip(words, contributions, strict=True):
        totals[word] = totals.get(word, 0.0) + float(part)
    best = sorted(totals, key=lambda word: -totals[word])[:_MOST_REASONS]
    return [word for word in best if totals[word] > 0 and totals[word] >= totals[best[0]] / 4]


def with_unreadable(
    batch: Batch, judged: Mapping[str, list[Any]], constants: Mapping[str, Any], names: Sequence[str]
) -> dict[str, list[Any]]:
    """Return all columns for all rows of a batch: an image that could not be read is flagged, has no reasons, and
    nulls for what nobody can know.
    """
    readable = [position for position, row in enumerate(batch.rows) if row.error is None]
    columns: dict[str, list[Any]] = {name: [value] * len(batch.rows) for name, value in constants.items()}
    columns["file_name"] = [row.name for row in batch.rows]
    columns["error"] = [row.error for row in batch.rows]
    for name in names:
        if name not in columns:
            columns[name] = [None] * len(batch.rows)
            for position, value in zip(readable, judged.get(name, []), strict=False):
                columns[name][position] = value
    columns["flagged"] = [flag is None or flag for flag in columns["flagged"]]
    columns["reasons"] = [reasons or [] for reasons in columns["reasons"]]
    return columns
