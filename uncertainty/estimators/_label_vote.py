"""The vote of the nearest known-good images on each label: those that carry it against those that lack it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors import NeighborIndex


def label_votes(index: NeighborIndex, carried: NDArray[np.signedinteger], queries: Any, k: int) -> NDArray[np.float64]:
    """Return (n, c): the weighted share of the k nearest that carry each label.

    carried : (m, c) of 1, 0 and -1 (nobody knows, which has no vote), in the order of the index. Formula: (Σ_i w_i
    [carried] + r_c) / (Σ_i w_i [known] + 1), w_i as in `dissent`, r_c the share of known-good rows that carry it.

    >>> index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0]], [0, 0])
    >>> label_votes(index, np.array([[1, 1], [0, 1]], dtype=np.int8), [[2.0, 2.0]], 2).round(4).tolist()
    [[0.5, 1.0]]
    """
    distances, rows = index.nearest(queries, k)
    furthest = distances[:, -1:]
    weights = 1 - np.divide(distances, furthest, out=np.ones_like(distances), where=furthest > 0) ** 2
    weights += 1 / distances.shape[1]
    on, off = ((carried[rows] == value).astype(np.float64) for value in (1, 0))
    votes, against = (np.einsum("nk,nkc->nc", weights, side) for side in (on, off))
    return np.asarray((votes + carried_share(carried)) / (votes + against + 1))


def carried_share(carried: NDArray[np.signedinteger]) -> NDArray[np.float64]:
    """Return (c,) the share of the rows that carry each label, of those of which it is known; a half where of none."""
    on, known = (carried == 1).sum(axis=0), (carried >= 0).sum(axis=0)
    return np.asarray(np.divide(on, known, out=np.full(carried.shape[1], 0.5), where=known > 0))
