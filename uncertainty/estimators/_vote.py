"""The vote of the nearest known-good images, in whatever space they are near."""

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
    weights, classes = _ballots(index, queries, k)
    agreeing = (weights * (classes == outputs.predictions[:, None])).sum(axis=1)
    return np.asarray(1 - (agreeing + 1 / outputs.n_classes) / (weights.sum(axis=1) + 1))


def votes(index: NeighborIndex, queries: Any, k: int, n_classes: int) -> NDArray[np.float64]:
    """Return (n, c): the weighted share of the k nearest that are of each class, by the formula of `dissent`.

    >>> index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> votes(index, [[2.0, 2.0]], 2, 3).round(4).tolist()
    [[0.4167, 0.4167, 0.1667]]
    """
    weights, classes = _ballots(index, queries, k)
    shares = np.full((len(weights), n_classes), 1 / n_classes)
    np.add.at(shares, (np.arange(len(weights))[:, None], classes), weights)
    return np.asarray(shares / (weights.sum(axis=1, keepdims=True) + 1))


def _ballots(index: NeighborIndex, queries: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what the k nearest count, and their classes; both (n, k)."""
    distances, classes = index.neighbours(queries, k)
    furthest = distances[:, -1:]
    nearness = 1 - np.divide(distances, furthest, out=np.ones_like(distances), where=furthest > 0) ** 2
    return nearness + 1 / distances.shape[1], classes
