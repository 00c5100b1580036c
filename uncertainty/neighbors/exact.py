"""Exact search: one matrix product tells how like every vector is to every query, and both scores read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors.vectors import LARGEST_DISTANCE, SPARE, Vectors, distances_to, sorted_by_distance

_BLOCK_FLOATS = 1 << 25
# The k-th largest of the maxima of such runs is below the k-th largest of all: few numbers need a second look.
_RUN = 64
# More candidates than this, and so many vectors are alike that float32 has to do.
_MOST_CANDIDATES = 256
# float32 products of vectors of length 1 are less than this off.
_MARGIN = 1e-5
# So few queries take half the time where the vectors come first in the product: they are then not copied anew for it.
_FEW = 16


@dataclass(frozen=True, eq=False)
class ExactSearch:
    """All vectors (m, d) float32, sorted by class; class j has rows starts[j] to starts[j + 1]."""

    vectors: Vectors
    starts: NDArray[np.int64]

    @property
    def rows_at_once(self) -> int:
        """So many queries are answered together: 128 MB of products at most."""
        return max(1, _BLOCK_FLOATS // len(self.vectors))

    @cached_property
    def zero_rows(self) -> NDArray[np.int64]:
        """Positions of vectors without a direction."""
        return np.flatnonzero(~self.vectors.any(axis=1))

    def look(self, queries: NDArray[np.float32]) -> ExactLook:
        """Compare queries (n, d) of length 1 with every vector."""
        if len(queries) <= _FEW:
            nearness = np.ascontiguousarray((self.vectors @ queries.T).T, dtype=np.float32)
        else:
            nearness = np.asarray(queries @ self.vectors.T, dtype=np.float32)
        # ‖q - v‖² = ‖q‖² + 1 - 2 nearness, of a zero vector too: it has no product with anything and yet is near.
        nearness[:, self.zero_rows] += 0.5
        return ExactLook(self, queries, nearness)


@dataclass(frozen=True, eq=False)
class ExactLook:
    """How near (n, m) the vectors are to n queries, in float32: enough to choose whose distances are measured."""

    search: ExactSearch
    queries: NDArray[np.float32]
    nearness: NDArray[np.float32]
    _nearest: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = field(default_factory=dict, init=False)

    def nearest(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances (n, k), ascending, and positions of the k nearest vectors; k is at most m."""
        if k not in self._nearest:  # several ask one look for as many
            positions = _largest(self.nearness, min(k + SPARE, self.nearness.shape[1]))
            distances, positions = sorted_by_distance(self.queries, self.search.vectors, positions)
            self._nearest[k] = distances[:, :k], positions[:, :k]
        return self._nearest[k]

    def own_and_other(self, own: NDArray[np.int64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n,) distances to the k-th nearest of class number `own`, and of the nearest other class.

        The first is inf where `own` is -1, the second the largest distance where there is no other class.
        """
        has_own, rows = own >= 0, np.arange(len(own))
        own_distance = np.full(len(own), np.inf)
        own_distance[has_own] = self._kth(rows[has_own], own[has_own], k)
        upper = np.maximum.reduceat(self.nearness, self.search.starts[:-1], axis=1)
        upper[rows[has_own], own[has_own]] = -np.inf
        return own_distance, self._nearest_class(upper, k)

    def _nearest_class(self, upper: NDArray[np.float32], k: int) -> NDArray[np.float64]:
        """Measure class after class, that of the nearest vector first, until no other can be nearer."""
        other = np.full(len(upper), np.inf)
        squares = np.square(self.queries).sum(axis=1)
        rows = np.arange(len(upper))
        while True:
            best = upper[rows].argmax(axis=1)
            beats = (squares[rows] + 1 - other[rows] ** 2) / 2 - _MARGIN
            can = np.isfinite(upper[rows, best]) & (upper[rows, best] > beats)
            rows, best = rows[can], best[can]
            if not len(rows):
                return np.asarray(np.minimum(other, LARGEST_DISTANCE))
            other[rows] = np.minimum(other[rows], self._kth(rows, best, k))
            upper[rows, best] = -np.inf

    def _kth(self, rows: NDArray[np.int64], wanted: NDArray[np.int64], k: int) -> NDArray[np.float64]:
        """Return the distance of each of these queries to the k-th nearest, or else the furthest, of a class."""
        starts = self.search.starts
        sizes = np.diff(starts)[wanted]
        width = min(k + SPARE, int(sizes.max(initial=1)))
        positions = np.full((len(rows), width), -1, dtype=np.int64)
        for j in np.unique(wanted):
            of_class = np.flatnonzero(wanted == j)
            part = self.nearness[rows[of_class], starts[j] : starts[j + 1]]
            count = min(width, part.shape[1])
            positions[of_class, :count] = starts[j] + _partitioned(part, count)
        distances = np.sort(distances_to(self.queries[rows], self.search.vectors, positions), axis=1)
        return np.asarray(distances[np.arange(len(rows)), np.minimum(k, sizes) - 1])


def _partitioned(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the columns (n, count) of the largest values of each row, in no order."""
    if count == values.shape[1]:
        return np.tile(np.arange(count), (len(values), 1))
    return np.argpartition(values, values.shape[1] - count, axis=1)[:, -count:]


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return columns (n, at least count) with the largest values of each row, in no order, -1 in empty places.

    >>> values = np.zeros((1, 900), dtype=np.float32)
    >>> values[0, [3, 700]] = 1
    >>> sorted(_largest(values, 2)[0].tolist())
    [3, 700]
    """
    n, m = values.shape
    runs = m // _RUN
    if runs < 2 * count:
        return _partitioned(values, count)
    maxima = values[:, : runs * _RUN].reshape(n, runs, _RUN).max(axis=2)
    floor = np.partition(maxima, runs - count, axis=1)[:, runs - count]
    rows, columns = np.nonzero(values >= floor[:, None])
    counts = np.bincount(rows, minlength=n)
    crowded = counts > max(_MOST_CANDIDATES, 4 * count)
    kept = ~crowded[rows]
    rows, columns, counts = rows[kept], columns[kept], np.where(crowded, count, counts)
    found = np.full((n, int(counts.max(initial=count))), -1, dtype=np.int64)
    first = np.cumsum(np.where(crowded, 0, counts)) - np.where(crowded, 0, counts)
    found[rows, np.arange(len(rows)) - first[rows]] = columns
    for row in np.flatnonzero(crowded):
        found[row, :count] = _partitioned(values[row : row + 1], count)[0]
    return found
