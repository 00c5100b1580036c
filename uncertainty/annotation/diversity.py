"""The default strategy: p_wrong times diversity, with hardly an error given away for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.candidates import Candidates, Positions

REACH = 3
"""Candidates that are looked at, in multiples of what is wanted."""
_NEIGHBOURS = 10
_FROM_NEIGHBOURS = 0.2
_POWER = 0.05
_SMALLEST = 1e-6


def spread(candidates: Candidates, n: int) -> Positions:
    """Return n candidates, each of the largest q · min(1, d / s)^0.05, one after another; no randomness.

    q is 0.8 p_wrong + 0.2 of the mean p_wrong of the 10 nearest candidates, d the distance 1 − cos to the nearest one
    picked before or labelled, s that to the 10th nearest candidate: how close is close depends on how crowded it is.
    Only the 3 n of largest p_wrong can be picked. Same arguments and answer as the functions of `strategies`.

    The power is small on purpose: it sends twins to the end and changes little else. Strategies that go further for
    the sake of diversity find fewer errors, see `experiments/annotation/ranked_stream.py`, which also chose the 0.2.

    The second looks like the first, so the third goes before it:

    >>> x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> spread(Candidates(np.array([0.9, 0.8, 0.5]), x), 3).tolist()
    [0, 2, 1]
    """
    n = candidates.many(n)
    p = np.asarray(candidates.p_wrong, dtype=np.float64)
    everything = np.ascontiguousarray(candidates.vectors())
    top = candidates.suspicious[: REACH * n]
    x = everything[top]
    cosines, neighbours = nearest(x, everything, min(_NEIGHBOURS, len(p) - 1), top)
    if not neighbours.shape[1]:
        return top
    worth = (1 - _FROM_NEIGHBOURS) * p[top] + _FROM_NEIGHBOURS * p[neighbours].mean(axis=1)
    scale = np.maximum(1 - cosines[:, -1], _SMALLEST)
    away = np.full(len(top), np.inf)
    if len(candidates.labelled):
        labelled = np.ascontiguousarray(candidates.labelled)
        away = (1 - nearest(x, labelled, 1)[0][:, 0]).clip(min=0)
    picked: list[int] = []
    for _ in range(n):
        value = worth * np.minimum(1, away / scale) ** _POWER
        value[picked] = -1
        best = int(value.argmax())
        picked.append(best)
        away = np.minimum(away, (1 - x @ x[best]).clip(min=0))
    return top[np.array(picked, dtype=np.int64)]


def nearest(
    x: NDArray[np.float32], others: NDArray[np.float32], k: int, own: Positions | None = None
) -> tuple[Any, Positions]:
    """Return the k largest cosines of each row, descending, and whose they are; `own` are its positions in others.

    >>> x = np.eye(2, dtype=np.float32)
    >>> nearest(x[:1], x, 1, np.array([0]))[1].tolist()
    [[1]]
    """
    import faiss

    more = 0 if own is None else 1
    cosines, found = faiss.knn(x, others, min(k + more, len(others)), metric=faiss.METRIC_INNER_PRODUCT)
    if own is None:
        return cosines, found
    itself = found == own[:, None]
    itself[~itself.any(axis=1), -1] = True  # behind so many twins that it is not among its own nearest
    return cosines[~itself].reshape(len(x), -1), found[~itself].reshape(len(x), -1)
