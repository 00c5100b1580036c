"""The vote of the nearest known-good images on the predicted class, in whatever space they are near."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors import NeighborIndex
from uncertainty.outputs import ModelOutputs


def dissent(index: NeighborIndex, queries: Any, k: int, outputs: ModelOutputs) -> NDArray[np.float64]:
    """Return (n,) in [0, 1]: the weighted share of the k nearest that are of another class than the predicted.

    Formula: 1 - (Σ_i w_i [class_i = ŷ] + 1/c) / (Σ_i w_i + 1), w_i = (1 - (d_i / d_k)²) + 1/k: nearer images have more
    say and votes seldom tie; c classes share one vote.

    >>> index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> outputs = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]])
    >>> dissent(index, [[2.0, 2.0]], 2, outputs).round(4).tolist()
    [0.5]
    """
    distances, classes = index.neighbours(queries, k)
    furthest = distances[:, -1:]
    nearness = 1 - np.divide(distances, furthest, out=np.ones_like(distances), where=furthest > 0) ** 2
    weights = nearness + 1 / distances.shape[1]
    agreeing = (weights * (classes == outputs.predictions[:, None])).sum(axis=1)
    return np.asarray(1 - (agreeing + 1 / outputs.n_classes) / (weights.sum(axis=1) + 1))
