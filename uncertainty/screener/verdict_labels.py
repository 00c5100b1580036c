"""Labels that came with the images, beside the verdicts on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from uncertainty.evaluation.screening_quality import join_labels
from uncertainty.labels.by_name import truths
from uncertainty.screener.artifact import SavedModel

if TYPE_CHECKING:
    import pyarrow as pa


def labelled(table: pa.Table, labels: Mapping[str, str | int], model: SavedModel) -> pa.Table:
    """Return verdicts with the columns `label` and `correct`; labels are class names or positions of classes."""
    texts = {name: str(label) for name, label in labels.items()}
    if model.task == "multilabel":
        return join_labels(table, {name: named(text, model.classes) for name, text in texts.items()})
    return join_labels(table, known) if (known := truths(texts, model.classes)) else table


def named(positions: str, classes: Sequence[str]) -> str:
    """Return names of classes for positions that are joined by semicolons; names as they are.

    >>> named("0;2", ["cat", "dog", "eel"]), named("cat;dog", ["cat", "dog"])
    ('cat;eel', 'cat;dog')
    """
    parts = positions.split(";") if positions else []
    if all(part.isdecimal() and part not in classes and int(part) < len(classes) for part in parts):
        return ";".join(classes[int(part)] for part in parts)
    return positions
