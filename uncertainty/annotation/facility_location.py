"""Facility location: candidates that stand best for all that are doubtful.

`covering` saves most labels when a classifier is trained again and again, see
`experiments/annotation/active_learning.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from uncertainty.annotation.candidates import Candidates, Floats, Positions
from uncertainty.annotation.sparse_cover import Likeness, Rows, serves, sparse_greedy

_SHARPNESS = 2.0
_FEWEST, _MOST = 4, 20
_BLOCK = 1024
_AGAIN = 32  # gains that are computed anew together
_SMALLEST = 1e-12
_EXACT = 2048
"""Up to so many rows every likeness is looked at; of more, those of near rows, see `sparse_cover.py`."""


def covering(candidates: Candidates, n: int, beta: float | None = None) -> Positions:
    """Return n candidates S that stand best for the beta n of largest p_wrong: greedily the largest
    Σᵢ p_wrongᵢ max over j in S of exp(-2 |xᵢ - xⱼ|²), rows of length 1. What has labels stands for its like already.

    beta is that of `reach` unless it is given. Arguments and answer as for all strategies; the seed changes nothing.
    Facility location (Wei, Iyer and Bilmes 2015) with a Gaussian likeness. Among more than 2,048 candidates that are
    looked at, a candidate stands for those that it is near to alone. Raises InputError for n below 1.

    Squared distances are 0.08 from the first to the second, 2 to the third and 1.44 between these; likenesses 0.85,
    0.02 and 0.06. The first adds 0.8 + 0.8 * 0.85 + 0.5 * 0.02 = 1.49, the second 1.51; the third is like neither:

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> covering(Candidates(np.array([0.8, 0.8, 0.5]), x), 2).tolist()
    [1, 2]
    """
    if beta is None:
        beta = reach(len(candidates), len(candidates.labelled))
    return _standing(candidates, n, beta, _gaussian)


def reach(candidates: int, labels: int) -> float:
    """Return how many times the wanted number of candidates is looked at: the candidates for each label there is, at
    least 4 and at most 20. The fewer labels a classifier has learnt from, the less its doubt says, and the more the
    batch has to cover.

    >>> reach(1000, 0), reach(1000, 100), reach(1000, 900)
    (20.0, 10.0, 4.0)
    """
    return float(np.clip(candidates / max(1, labels), _FEWEST, _MOST))


def facility_location(candidates: Candidates, n: int, beta: float = 4) -> Positions:
    """Return n candidates S that stand best for the beta n of largest p_wrong: greedily the largest
    Σᵢ p_wrongᵢ max over j in S of cos(i, j), at least 0 (Wei, Iyer and Bilmes 2015). What has labels stands for its
    like already.

    The second adds 0.9 * 0.96 + 0.8 + 0.5 * 0.28, the most; it stands for the first too, so the third comes next:

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> facility_location(Candidates(np.array([0.9, 0.8, 0.5]), x), 2).tolist()
    [1, 2]
    """
    return _standing(candidates, n, beta, _cosine)


def _gaussian(cosines: Rows) -> Rows:
    """Return exp(-2 |x - y|²) of rows of length 1, by their inner products."""
    return np.asarray(np.exp(np.minimum(2 * _SHARPNESS * (cosines - 1), 0)), dtype=np.float32)


def _cosine(cosines: Rows) -> Rows:
    return np.asarray(np.maximum(cosines, 0), dtype=np.float32)


def _standing(candidates: Candidates, n: int, beta: float, likeness: Likeness) -> Positions:
    n = candidates.many(n)
    top = candidates.suspicious[: max(n, round(beta * n))]
    weights = np.maximum(np.asarray(candidates.p_wrong, dtype=np.float64)[top], _SMALLEST)
    return top[_greedy(candidates.vectors(top), weights, candidates.labelled, n, likeness)]


def _greedy(x: Rows, weights: Floats, known: Rows, n: int, likeness: Likeness) -> Positions:
    covered = np.zeros(len(x), dtype=np.float32)
    for columns in _blocks(len(known)):
        for rows in _blocks(len(x)):
            covered[rows] = np.maximum(covered[rows], likeness(x[rows] @ known[columns].T).max(axis=1))
    if len(x) > _EXACT and serves(len(x), n):
        return sparse_greedy(x, weights, covered, n, likeness)
    gains = np.concatenate([_gains(x, weights, covered, x[rows], likeness) for rows in _blocks(len(x))])
    picked: list[int] = []
    while len(picked) < n:
        best = _next(x, weights, covered, gains, likeness)
        picked.append(best)
        gains[best] = -np.inf
        covered = np.maximum(covered, likeness(x @ x[best]))
    return np.array(picked, dtype=np.int64)


def _gains(x: Rows, weights: Floats, covered: Rows, added: Rows, likeness: Likeness) -> Floats:
    """Return what each of the rows `added` would add to what is covered."""
    gains: Floats = weights @ np.maximum(likeness(x @ added.T) - covered[:, None], 0)
    return gains


def _next(x: Rows, weights: Floats, covered: Rows, gains: Floats, likeness: Likeness) -> int:
    """Return the row of largest gain; `gains` are upper bounds, made exact in place where that is needed.

    A gain never grows, so most need not be computed again (Minoux 1978).
    """
    exact = np.zeros(len(gains), dtype=np.bool_)
    while True:
        best = int(gains.argmax())
        if exact[best]:
            return best
        stale = np.where(exact, -np.inf, gains)
        rows = np.argpartition(-stale, min(_AGAIN, len(stale) - 1))[:_AGAIN]
        rows = rows[np.isfinite(stale[rows])]
        gains[rows], exact[rows] = _gains(x, weights, covered, x[rows], likeness), True


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
