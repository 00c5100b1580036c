"""Which candidates to label: one function a strategy, all with the same arguments and the same kind of answer.

    strategy(candidates, n) -> positions in picking order

`candidates` are m images, see `Candidates`; `n` how many, all of them if there are fewer. The answer is (min(n, m),)
int64, each position once, the first to label first. Same arguments, same seed, same answer. None looks at more than
the seed says at random, and memory grows with the candidates, not with their square.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.candidates import Candidates, Floats, Positions
from uncertainty.errors import InputError

_BLOCK = 1024
_BETA = 10
_MOST_ITERATIONS = 20
_EPSILON = 1e-12


def random(candidates: Candidates, n: int) -> Positions:
    """Return n positions drawn evenly.

    >>> sorted(random(Candidates(np.zeros(3)), 5).tolist())
    [0, 1, 2]
    """
    return np.random.default_rng(candidates.seed).permutation(len(candidates))[: candidates.many(n)]


def uncertainty(candidates: Candidates, n: int) -> Positions:
    """Return the n of largest p_wrong, ties in their order.

    >>> uncertainty(Candidates(np.array([0.2, 0.9, 0.2])), 2).tolist()
    [1, 0]
    """
    return candidates.suspicious[: candidates.many(n)]


def power(candidates: Candidates, n: int) -> Positions:
    """Return n drawn in proportion to p_wrong, without putting back (Kirsch et al. 2021, "Stochastic batch
    acquisition"): the largest log p_wrong + Gumbel noise. Chance alone spreads them.

    A candidate that can't be wrong comes last:

    >>> power(Candidates(np.array([0.0, 0.3, 0.2])), 3)[-1].item()
    0
    """
    noise = np.random.default_rng(candidates.seed).gumbel(size=len(candidates))
    keys = np.log(np.maximum(candidates.p_wrong, _EPSILON)) + noise
    return np.argsort(-keys, kind="stable")[: candidates.many(n)]


def weighted_kmeans(candidates: Candidates, n: int, beta: float = _BETA) -> Positions:
    """Return the candidate nearest to each of n centres of k-means, weighted by p_wrong, among the beta n of largest
    p_wrong (Zhdanov 2019, "Diverse mini-batch active learning").

    Two directions, two wanted; of the first the more suspicious counts more:

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> weighted_kmeans(Candidates(np.array([0.9, 0.1, 0.5]), x), 2).tolist()
    [0, 2]
    """
    n = candidates.many(n)
    top, x, w = _top(candidates, n, beta)
    centres = _centres(x, w, n, candidates.seed)
    picked = [rows[((x[rows] - centre) ** 2).sum(axis=1).argmin()] for rows, centre in _clusters(x, centres)]
    return _filled(top[np.array(picked, dtype=np.int64)], candidates, n)


def top_of_clusters(candidates: Candidates, n: int, beta: float = 2) -> Positions:
    """Return the most suspicious candidate of each of n clusters of the beta n of largest p_wrong: as
    `weighted_kmeans`, but for what is picked from a cluster.

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> top_of_clusters(Candidates(np.array([0.3, 0.4, 0.2]), x), 2).tolist()
    [1, 2]
    """
    n = candidates.many(n)
    top, x, w = _top(candidates, n, beta)
    picked = [rows[w[rows].argmax()] for rows, _ in _clusters(x, _centres(x, w, n, candidates.seed))]
    return _filled(top[np.array(picked, dtype=np.int64)], candidates, n)


def k_centre(candidates: Candidates, n: int) -> Positions:
    """Return n candidates, each the furthest from those before it and from what has labels (Sener and Savarese 2018,
    "core-set", the greedy form). Where nothing has labels the most suspicious one comes first; after it p_wrong is not
    looked at.

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> k_centre(Candidates(np.array([0.5, 0.4, 0.1]), x), 2).tolist()
    [0, 2]
    """
    return _furthest(candidates, n, np.ones(len(candidates)))


def weighted_k_centre(candidates: Candidates, n: int) -> Positions:
    """Return n candidates as `k_centre` does, but each of the largest p_wrong times squared distance.

    Distances from the first: 0.08 and 2; times p_wrong 0.072 and 0.02.

    >>> x = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    >>> weighted_k_centre(Candidates(np.array([0.95, 0.9, 0.01]), x), 2).tolist()
    [0, 1]
    """
    return _furthest(candidates, n, np.asarray(candidates.p_wrong, dtype=np.float64))


def badge(candidates: Candidates, n: int) -> Positions:
    """Return n candidates by the seeding of k-means++ on gradients of the last layer (Ash et al. 2020, BADGE).

    A gradient is (probs - onehot(prediction)) ⊗ features. It is never built: an inner product of two is the product of
    the inner products of their parts. The first is the longest gradient, each next is drawn in proportion to the
    squared distance to the nearest one before it. `probs` are needed; p_wrong is not looked at.

    Gradients (0, 0) ⊗ x, (-0.5, 0.5) ⊗ x and (-0.2, 0.2) ⊗ x: the second is the longest.

    >>> x = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> badge(Candidates(np.zeros(3), x, probs=np.array([[1.0, 0.0], [0.5, 0.5], [0.8, 0.2]])), 1).tolist()
    [1]
    """
    if candidates.probs is None:
        raise InputError("badge reads probabilities and got none; give probs (m, K), or choose another strategy")
    n = candidates.many(n)
    x, residual = candidates.vectors(), np.array(candidates.probs, dtype=np.float32)
    residual[np.arange(len(residual)), residual.argmax(axis=1)] -= 1
    squares = (np.square(x).sum(axis=1) * np.square(residual).sum(axis=1)).astype(np.float64)
    rng, picked = np.random.default_rng(candidates.seed), [int(squares.argmax())] if n else []
    nearest = np.full(len(x), np.inf)
    while len(picked) < n:
        last = picked[-1]
        inner = (x @ x[last]) * (residual @ residual[last])
        nearest = np.minimum(nearest, (squares + squares[last] - 2 * inner).clip(min=0))
        nearest[last] = -1  # never again; at 0 it could be drawn once all others are there too
        picked.append(_drawn(nearest.clip(min=0), nearest >= 0, rng))
    return np.array(picked, dtype=np.int64)


def _top(candidates: Candidates, n: int, beta: float) -> tuple[Positions, NDArray[np.float32], Floats]:
    """Return the beta n candidates of largest p_wrong, in this order: positions, features and weights."""
    if beta < 1:
        raise InputError(f"beta is {beta:g}; it must be at least 1, or there are fewer candidates than wanted")
    top = candidates.suspicious[: max(n, round(beta * n))]
    weights = np.asarray(candidates.p_wrong, dtype=np.float64)[top]
    return top, candidates.vectors(top), np.maximum(weights, _EPSILON)


def _centres(x: NDArray[np.float32], weights: Floats, n: int, seed: int) -> NDArray[np.float32]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(n, n_init=1, max_iter=_MOST_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than wanted: `_filled` adds others
        return np.asarray(means.fit(x, sample_weight=weights).cluster_centers_)


def _clusters(x: NDArray[np.float32], centres: NDArray[np.float32]) -> Iterator[tuple[Positions, NDArray[np.float32]]]:
    """Yield the rows nearest to each centre that has any."""
    nearest = np.concatenate(
        [(np.square(centres).sum(axis=1) - 2 * (x[rows] @ centres.T)).argmin(axis=1) for rows in _blocks(len(x))]
    )
    order = np.argsort(nearest, kind="stable")
    found, starts = np.unique(nearest[order], return_index=True)
    for cluster, rows in zip(found, np.split(order, starts[1:]), strict=True):
        yield rows, centres[cluster]


def _filled(picked: Positions, candidates: Candidates, n: int) -> Positions:
    """Sort by p_wrong, and add the most suspicious others where there are fewer than n."""
    order = candidates.suspicious
    others = order[~np.isin(order, picked)][: n - len(picked)]
    return np.concatenate([order[np.isin(order, picked)], others])


def _furthest(candidates: Candidates, n: int, weights: Floats) -> Positions:
    n, x = candidates.many(n), candidates.vectors()
    nearest = np.full(len(x), np.inf)
    if len(candidates.labelled):
        nearest = (2 - 2 * _largest_cosines(x, candidates.labelled)).clip(min=0)
    picked: list[int] = []
    for _ in range(n):
        worth = (
            nearest * weights if np.isfinite(nearest[0]) or picked else np.asarray(candidates.p_wrong, dtype=np.float64)
        )
        worth[picked] = -1
        best = int(worth.argmax())
        nearest = np.minimum(nearest, (2 - 2 * (x @ x[best])).clip(min=0))
        picked.append(best)
    return np.array(picked, dtype=np.int64)


def _largest_cosines(x: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (m,) the largest inner product of each row with any of the others."""
    found = np.full(len(x), -1, dtype=np.float32)
    for rows in _blocks(len(x)):
        for columns in _blocks(len(others)):
            found[rows] = np.maximum(found[rows], (x[rows] @ others[columns].T).max(axis=1))
    return found


def _drawn(weights: Floats, left: NDArray[np.bool_], rng: np.random.Generator) -> int:
    """Draw one row in proportion to weights, evenly among those left where all are zero."""
    chances = weights if weights.sum() > 0 else left.astype(np.float64)
    return int(np.searchsorted(np.cumsum(chances), rng.random() * chances.sum(), side="right").clip(max=len(left) - 1))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
