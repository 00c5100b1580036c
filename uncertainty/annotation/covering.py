"""The strategy that saves most labels when a classifier is trained again and again; measured by experiments/."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.strategies import Floats, Positions
from uncertainty.errors import InputError

_SHARPNESS = 2.0
_FEWEST, _MOST = 4, 20
_BLOCK = 1024
_AGAIN = 32  # gains that are computed anew together


def covering(
    p_wrong: Floats,
    features: Floats,
    n: int,
    *,
    probs: Floats | None = None,
    labelled_features: Floats | None = None,
    seed: int = 0,
) -> Positions:
    """Return n candidates S that stand best for the beta n of largest p_wrong: greedily the largest
    Σᵢ p_wrongᵢ max over j in S of exp(-2 |xᵢ - xⱼ|²), rows of length 1. What has labels stands for its like already.

    beta is the number of candidates for each label there is, at least 4 and at most 20 (20 without labels): the fewer
    labels a classifier has learnt from, the less its doubt says, and the more the batch has to cover. Arguments and
    answer as for all strategies; the seed changes nothing. Facility location (Wei, Iyer and Bilmes 2015) with a
    Gaussian likeness, evaluated lazily (Minoux 1978). Raises InputError for n below 1.

    Squared distances are 0.08 from the first to the second, 2 to the third and 1.44 between these; likenesses 0.85,
    0.02 and 0.06. The first adds 0.8 + 0.8 * 0.85 + 0.5 * 0.02 = 1.49, the second 1.51; the third is like neither:

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> covering(np.array([0.8, 0.8, 0.5]), x, 2).tolist()
    [1, 2]
    """
    if n < 1:
        raise InputError(f"{n} images were asked for; ask for at least one")
    n = min(n, len(p_wrong))
    known = np.zeros((0, features.shape[1])) if labelled_features is None else labelled_features
    beta = float(np.clip(len(p_wrong) / max(1, len(known)), _FEWEST, _MOST))
    top = np.argsort(-np.asarray(p_wrong), kind="stable")[: max(n, round(beta * n))]
    x, weights = np.asarray(features[top], dtype=np.float32), np.asarray(p_wrong, dtype=np.float64)[top]
    return top[_greedy(x, np.maximum(weights, 1e-12), np.asarray(known, dtype=np.float32), n)]


def _greedy(x: NDArray[np.float32], weights: Floats, known: NDArray[np.float32], n: int) -> Positions:
    covered = np.zeros(len(x), dtype=np.float32)
    for columns in _blocks(len(known)):
        for rows in _blocks(len(x)):
            covered[rows] = np.maximum(covered[rows], _likeness(x[rows], known[columns]).max(axis=1))
    gains = np.concatenate([_gains(x, weights, covered, np.arange(len(x))[rows]) for rows in _blocks(len(x))])
    picked: list[int] = []
    while len(picked) < n:
        best = _next(x, weights, covered, gains)
        picked.append(best)
        gains[best] = -np.inf
        covered = np.maximum(covered, _likeness(x, x[best : best + 1])[:, 0])
    return np.array(picked, dtype=np.int64)


def _likeness(x: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return exp(-2 |x - y|²) of rows of length 1, by their inner products."""
    return np.asarray(np.exp(np.minimum(2 * _SHARPNESS * (x @ others.T - 1), 0)), dtype=np.float32)


def _gains(x: NDArray[np.float32], weights: Floats, covered: NDArray[np.float32], rows: Positions) -> Floats:
    """Return what each of these rows would add to what is covered."""
    gains: Floats = weights @ np.maximum(_likeness(x, x[rows]) - covered[:, None], 0)
    return gains


def _next(x: NDArray[np.float32], weights: Floats, covered: NDArray[np.float32], gains: Floats) -> int:
    """Return the row of largest gain; `gains` are upper bounds, made exact in place where that is needed."""
    exact = np.zeros(len(gains), dtype=np.bool_)
    while True:
        best = int(gains.argmax())
        if exact[best]:
            return best
        stale = np.where(exact, -np.inf, gains)
        rows = np.argpartition(-stale, min(_AGAIN, len(stale) - 1))[:_AGAIN]
        rows = rows[np.isfinite(stale[rows])]
        gains[rows], exact[rows] = _gains(x, weights, covered, rows), True


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
