"""The index of known-good features, as the neighbour estimators keep it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors import NeighborIndex
from uncertainty.outputs import ModelOutputs


def neighbours_for(rows: float) -> int:
    """Choose k for that many known-good rows: 1 up to some 300, 4 for 2,000, 11 for 20,000, growing as their root.

    A single neighbour is noise where rows are many, and the 10th lies in another cluster where they are few; on digits
    (35 a class), solar cells (240) and CIFAR-10 (1,900) this k is at or next to the best in `experiments/`.

    >>> neighbours_for(35), neighbours_for(1900), neighbours_for(20_000)
    (1, 4, 12)
    """
    return max(1, round(math.sqrt(rows) / 12))


def known_good_index(reference: ModelOutputs, column: str = "features") -> NeighborIndex:
    """Index the features (or the embedding) of reference rows by their classes."""
    return NeighborIndex.build(getattr(reference, column), known_classes(reference))


def known_good_names(reference: ModelOutputs) -> tuple[str, ...]:
    """Return file names (or ids) of the reference rows in the order in which `known_good_index` has them."""
    order = np.argsort(known_classes(reference), kind="stable")
    return tuple(str(reference.ids[i]).removeprefix("reference:") for i in order)


def known_classes(reference: ModelOutputs) -> NDArray[np.int64]:
    """(n,) the class of each reference row: its label, or the prediction where there are no labels.

    Multilabel rows have no single class; all are of class 0.
    """
    if reference.task == "multilabel":
        return np.zeros(len(reference), dtype=np.int64)
    return np.asarray(reference.labels if reference.has("labels") else reference.predictions)
