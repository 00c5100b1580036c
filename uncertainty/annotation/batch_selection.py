"""The chosen ones among candidates: near-duplicates folded, each quota filled, the rest left to a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation import strategies
from uncertainty.annotation.candidates import Candidates, Positions
from uncertainty.annotation.diversity import spread
from uncertainty.annotation.facility_location import covering, facility_location, reach
from uncertainty.annotation.near_duplicates import folded

Strategy = Callable[[Candidates, int], Positions]
Pick = Callable[[Positions, int, int | None], Positions]
DEFAULT, PLAIN = "spread", "uncertainty"
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            spread,
            covering,
            strategies.uncertainty,
            strategies.top_of_clusters,
            strategies.weighted_kmeans,
            strategies.weighted_k_centre,
            facility_location,
            strategies.badge,
            strategies.k_centre,
            strategies.power,
            strategies.random,
        )
    }
)
NEED_FEATURES = frozenset(STRATEGIES) - {PLAIN, "power", "random"}
_POOL = 4
_SMALLEST_POOL = 100


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the rows of a verdict table beside the verdicts; None: nothing.

    Parameters
    ----------
    features : (N, d) of length 1, any float type, zero for unreadable rows.
    digests : (N,) of the files, None where unknown.
    looks : gives `thumbnails.details` (m, 256) of m rows; features stand in where it is None.
    groups : (N,) which images belong together and are listed one at a time, None for an image that stands alone.

    """

    features: NDArray[np.floating] | None = None
    digests: Sequence[str | None] | None = None
    looks: Callable[[Positions], NDArray[np.float32]] | None = None
    groups: Sequence[str | None] | None = None

    def stand_ins(self, rows: Positions) -> Positions:
        """Return (m,) which of these rows stands for each of them, see `near_duplicates.folded`."""
        digests, groups = (
            [None] * len(rows) if values is None else [values[row] for row in rows.tolist()]
            for values in (self.digests, self.groups)
        )
        if self.looks is not None:
            return rows[folded(self.looks(rows), digests, groups)]
        return rows[folded(None if self.features is None else self.features[rows], digests, groups)]


@dataclass(frozen=True, eq=False)
class Rows:
    """The N rows of a verdict table, as far as choosing among them reads it.

    Parameters
    ----------
    p_wrong : (N,) in [0, 1]; NaN for unreadable rows.
    known : what is known beside the verdicts.
    quota : (N,) from 0 on the share that each is of; or (N, K) booleans, where a row counts in several shares, in one
        at least; None: all are of one.
    doubts : (N, K) in [0, 1], by which each share ranks its rows where they count in several; None: by p_wrong.
    probs : (N, K), for `badge`.
    labelled : the rows that have labels, which some strategies keep away from.

    """

    p_wrong: NDArray[np.float64]
    known: Known
    quota: NDArray[Any] | None = None
    doubts: NDArray[np.float64] | None = None
    probs: NDArray[np.floating] | None = None
    labelled: Positions | None = None

    def candidates(self, members: Positions, seed: int, share: int | None = None) -> Candidates:
        """Return some of them as strategies see them, in one of several shares by what it ranks them by."""
        features = self.known.features
        by = self.p_wrong if self.doubts is None or share is None else self.doubts[:, share]
        return Candidates(
            p_wrong=by[members],
            features=None if features is None else features[members],
            probs=None if self.probs is None else self.probs[members],
            labelled_features=None if self.labelled is None or features is None else features[self.labelled],
            seed=seed,
        )


def choose(rows: Rows, among: Positions, n: int, strategy: str, *, seed: int = 0) -> tuple[Positions, dict[int, int]]:
    """Return at most n of the rows `among` all, and which row stands for each one that was folded."""
    if n == 0:
        return among[:0], {}
    shared = _rarest(rows.quota, among, len(rows.p_wrong))
    picks, factor = STRATEGIES[strategy], float(_POOL)
    if strategy == "covering":  # as far as all candidates let it, whatever the share of a quota
        factor = reach(len(among), 0 if rows.labelled is None else len(rows.labelled))
        picks = partial(covering, beta=factor)
    preferred = _preferred(among, rows.p_wrong, strategy, seed)
    pool, heads = _pool(preferred, shared, n, rows.known, factor)
    own = pool[heads == pool]

    def pick(members: Positions, count: int, share: int | None) -> Positions:
        return members[picks(rows.candidates(members, seed, share), count)]

    chosen = _level(own, rows.quota, n, pick) if _sets(rows.quota) else _apart(own, shared, n, pick)
    if rows.quota is not None:
        chosen = chosen[np.argsort(-rows.p_wrong[chosen], kind="stable")]
    return chosen, {int(a): int(b) for a, b in zip(pool, heads, strict=True) if a != b}


def _apart(own: Positions, shared: NDArray[np.int64], n: int, pick: Pick) -> Positions:
    """Choose from each share as many as from the others, as far as it has them."""
    shares = equal_shares(np.bincount(shared[own]), n)
    return np.concatenate([pick(own[shared[own] == k], int(shares[k]), None) for k in np.flatnonzero(shares).tolist()])


def _level(own: Positions, sets: Any, n: int, pick: Pick) -> Positions:
    """Choose so that each share has as many as the others, where what is chosen counts in all its shares.

    The rarest share is filled first; once all are filled, those that are chosen for another count there too, and what
    is left is shared out again.
    """
    chosen = own[:0]
    counts = sets[own].sum(axis=0)
    while (left := min(n, len(own)) - len(chosen)) > 0:
        wanted = equal_shares(counts, int(sets[chosen].sum()) + left)
        for k in np.argsort(counts, kind="stable").tolist():
            missing = min(int(wanted[k] - sets[chosen, k].sum()), n - len(chosen))
            if missing > 0:
                members = np.setdiff1d(own[sets[own, k]], chosen)
                chosen = np.append(chosen, pick(members, missing, k))
    return chosen


def _sets(quota: NDArray[Any] | None) -> bool:
    return quota is not None and quota.ndim > 1


def _rarest(quota: NDArray[Any] | None, among: Positions, n: int) -> NDArray[np.int64]:
    """Return (N,) one share a row: of several the one that has the fewest rows."""
    if quota is None:
        return np.zeros(n, dtype=np.int64)
    if quota.ndim == 1:
        return np.asarray(quota, dtype=np.int64)
    rarity = np.where(quota, quota[among].sum(axis=0), n + 1)
    return np.asarray(rarity.argmin(axis=1), dtype=np.int64)


def _preferred(rows: Positions, p_wrong: NDArray[np.float64], strategy: str, seed: int) -> Positions:
    if strategy == "random":
        return np.random.default_rng(seed).permutation(rows)
    return rows[np.argsort(-p_wrong[rows], kind="stable")]


def _pool(
    order: Positions, shared: NDArray[np.int64], n: int, known: Known, factor: float
) -> tuple[Positions, Positions]:
    """Return the best rows of each share, so many that n remain once near-duplicates are folded, and stand-ins."""
    shares = equal_shares(np.bincount(shared[order]), n)
    place = _places(shared[order])
    while True:
        pool = order[place < np.maximum(factor * shares[shared[order]], _SMALLEST_POOL)]
        heads = known.stand_ins(pool)
        have = np.bincount(shared[pool[heads == pool]], minlength=len(shares))
        if len(pool) == len(order) or (have >= shares).all():
            return pool, heads
        factor *= 2


def _places(shared: NDArray[np.int64]) -> Positions:
    """Return (m,) the place of each row among those of its share.

    >>> _places(np.array([0, 1, 0, 0, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(shared, kind="stable")
    counts = np.bincount(shared)
    place = np.empty(len(shared), dtype=np.int64)
    place[order] = np.arange(len(shared)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place


def equal_shares(counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return how many of n each value gets: all the same, where it has so many; what one lacks, the others get.

    >>> equal_shares(np.array([100, 3, 100]), 14).tolist()
    [6, 3, 5]
    """
    shares = np.zeros(len(counts), dtype=np.int64)
    while (left := n - int(shares.sum())) > 0 and (shares < counts).any():
        hungry = np.flatnonzero(shares < counts)
        each = left // len(hungry)
        if each:
            shares[hungry] = np.minimum(shares[hungry] + each, counts[hungry])
        else:
            shares[hungry[:left]] += 1
    return shares
