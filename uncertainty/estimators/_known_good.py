"""The index of known-good features, as the neighbour estimators keep it."""

from __future__ import annotations

import math

import numpy as np

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


def known_good_index(reference: ModelOutputs) -> NeighborIndex:
    """Index the features of reference rows by class: the label, or the prediction where there are no labels.

    Multilabel rows have no single class; all are of class 0.
    """
    if reference.task == "multilabel":
        return NeighborIndex.build(reference.features, np.zeros(len(reference)))
    classes = reference.labels if reference.has("labels") else reference.predictions
    return NeighborIndex.build(reference.features, classes)
