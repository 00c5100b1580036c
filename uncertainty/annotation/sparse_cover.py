"""Facility location among so many rows that only the likeness of near ones is looked at.

Two rows that lie far apart hardly stand for each other once something nearer is chosen. So each row knows its nearest
ones alone, found in lists around centroids, and time grows hardly faster than the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.candidates import Floats, Positions

NEAREST = 64
_PROBES, _ROUNDS, _TRAINING_ROWS = 8, 8, 64
_OF_CHOSEN = 3
_ALMOST = 0.9
"""Of the likeness of its furthest near row a row counts as stood for so far: not all of it, or of more twins than a row
has near ones the first would be worth nothing."""

Rows = NDArray[np.float32]
Likeness = Callable[[Rows], Rows]
"""Cosines of any shape to likenesses, at least 0, growing with them."""


def serves(rows: int, n: int) -> bool:
    """Whether among its nearest rows each one has some of n chosen ones, were these spread evenly.

    >>> serves(20_000, 1000), serves(20_000, 10)
    (True, False)
    """
    return NEAREST * n >= _OF_CHOSEN * rows


def sparse_greedy(x: Rows, weights: Floats, covered: Rows, n: int, likeness: Likeness) -> Positions:
    """Return n positions, each the largest Σᵢ wᵢ max(0, likeness(i, j) − cᵢ), over the rows i that j is near to.

    x (m, d) of length 1, weights (m,); c are `covered` (m,), at least nearly the likeness of the furthest of a row's
    nearest, and grow with each pick. No randomness.

    The second is near the first, and to the third nearer than it is:

    >>> x = np.float32([[1, 0], [0.96, 0.28], [0, 1]])
    >>> sparse_greedy(x, np.array([0.9, 0.8, 0.5]), np.zeros(3, np.float32), 2, lambda c: np.maximum(c, 0)).tolist()
    [1, 2]
    """
    cosines, near = _nearest(np.ascontiguousarray(x))
    like = likeness(cosines).astype(np.float64)
    covered = np.maximum(covered, _ALMOST * like.min(axis=1))
    order = np.argsort(near, axis=None, kind="stable")
    starts = np.searchsorted(near.ravel()[order], np.arange(len(x) + 1))
    gains = np.bincount(near.ravel(), (weights[:, None] * (like - covered[:, None]).clip(min=0)).ravel(), len(x))
    picked: list[int] = []
    while len(picked) < n:
        best = int(gains.argmax())
        picked.append(best)
        entries = order[starts[best] : starts[best + 1]]
        rows, new = entries // near.shape[1], like.ravel()[entries]
        better = new > covered[rows]
        rows, new = rows[better], new[better, None]
        less = (like[rows] - covered[rows, None]).clip(min=0) - (like[rows] - new).clip(min=0)
        np.subtract.at(gains, near[rows], weights[rows, None] * less)
        covered[rows] = new[:, 0]
        gains[best] = -np.inf
    return np.array(picked, dtype=np.int64)


def _nearest(x: Rows) -> tuple[Rows, Positions]:
    """Return cosines and positions (m, k) of the nearest rows of each, with itself; itself where there are fewer."""
    import faiss

    lists = max(1, math.isqrt(len(x)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(x.shape[1]), x.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = _ROUNDS, _TRAINING_ROWS, 1
    index.train(x)
    index.add(x)
    index.nprobe = _PROBES
    cosines, found = index.search(x, min(NEAREST, len(x)))
    missing = found < 0
    return np.where(missing, np.float32(-1), cosines), np.where(missing, np.arange(len(x))[:, None], found)
