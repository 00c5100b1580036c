"""Which fold holds out which calibration image: errors spread evenly, what belongs together in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def folds(wrong: NDArray[np.bool_], seed: int, clusters: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Deal images to folds 0 … FOLDS - 1, wrong ones first, so that each fold has its share of the errors.

    Whatever learns from calibration errors is held out by these same folds. Images of one of `clusters` (n,) come into
    one fold: those with most errors first, each into the fold with the fewest errors and then rows.

    >>> sorted(folds(np.array([False, True] * 5), seed=0)[1::2].tolist())  # the five errors
    [0, 1, 2, 3, 4]
    """
    if clusters is not None:
        return _dealt_together(wrong, seed, np.unique(clusters, return_inverse=True)[1])
    order = np.random.default_rng(seed).permutation(len(wrong))
    dealt = order[np.argsort(~wrong[order], kind="stable")]
    fold = np.empty(len(wrong), dtype=np.int64)
    fold[dealt] = np.arange(len(wrong)) % FOLDS
    return fold


def _dealt_together(wrong: NDArray[np.bool_], seed: int, clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    errors, sizes = np.bincount(clusters, wrong), np.bincount(clusters)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.lexsort((-sizes[order], -errors[order]))]
    fold, load = np.empty(len(sizes), dtype=np.int64), np.zeros((FOLDS, 2))
    for cluster in order.tolist():
        fold[cluster] = emptiest = int(np.lexsort((load[:, 1], load[:, 0]))[0])
        load[emptiest] += errors[cluster], sizes[cluster]
    return fold[clusters]
