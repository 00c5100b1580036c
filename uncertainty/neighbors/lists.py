"""Approximate search: vectors lie in lists around centroids (IVF), and only the nearest lists are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors.exact import ExactSearch
from uncertainty.neighbors.vectors import LARGEST_DISTANCE, Vectors, blocks, sorted_by_distance

RECALL_AT, RECALL = 10, 0.97
"""So many of the true ten nearest are found on the rows that it is measured on, so that 95 % are on others."""
MEASURED_ROWS = 256
_FIRST_PROBES = 8
_TRAINING_ROUNDS, _TRAINING_ROWS = 10, 40  # rows for each list
_ROWS_AT_ONCE, _CODES_AT_ONCE = 1 << 16, 1 << 14
# One-byte codes rank less sharply than float32: so many candidates more are measured again.
_SPARE = 16
_CANDIDATES = 64
# One class has few rows in each list, and other rows cost little to skip; other classes lie further away: so many times
# as many lists are looked at for them.
_OF_CLASS, _OF_OTHERS = 8, 2


@dataclass(frozen=True, eq=False)
class Lists:
    """What was learnt of m vectors: centroids (l, d), the list of each vector (m,), and ranges of the codes (2 d,).

    The nearest `probes` lists are looked at; `recall` is the share of the true ten nearest that were found there.
    """

    centroids: NDArray[np.float32]
    of_row: NDArray[np.int32]
    ranges: NDArray[np.float32]
    probes: int
    recall: float

    @classmethod
    def learn(cls, vectors: Vectors, seed: int = 0) -> Self:
        """Cluster vectors (m, d) into 2 √m lists by k-means on a sample, drawn by the seed."""
        faiss = _faiss()
        m, d = vectors.shape
        count = list_count(m)
        chosen = np.random.default_rng(seed).permutation(m)[: count * _TRAINING_ROWS]
        sample = vectors[np.sort(chosen)].astype(np.float32)
        means = faiss.Kmeans(d, count, niter=_TRAINING_ROUNDS, seed=seed, min_points_per_centroid=1)
        means.train(sample)
        centroids = np.asarray(means.centroids, dtype=np.float32)
        index = _empty(centroids)
        index.train(sample[:_ROWS_AT_ONCE])
        ranges = faiss.vector_to_array(index.sq.trained).copy()
        return cls(centroids, nearest_list(vectors, centroids), ranges, min(count, _FIRST_PROBES), 0.0)


def _faiss() -> Any:
    import faiss

    return faiss


def list_count(rows: int) -> int:
    """So many lists hold that many vectors: 2 √m, so that choosing lists costs as little as looking at them."""
    return max(1, min(rows, round(2 * math.sqrt(rows))))


def nearest_list(vectors: NDArray[Any], centroids: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return (m,) the nearest centroid of each vector."""
    faiss = _faiss()
    quantizer = faiss.IndexFlatL2(centroids.shape[1])
    quantizer.add(centroids)
    found = np.empty(len(vectors), dtype=np.int32)
    for rows in blocks(len(vectors), _ROWS_AT_ONCE):
        found[rows] = quantizer.assign(vectors[rows].astype(np.float32), 1)[:, 0]
    return found


def _empty(centroids: NDArray[np.float32]) -> Any:
    faiss = _faiss()
    count, d = centroids.shape
    quantizer = faiss.IndexFlatL2(d)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(quantizer, d, count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2)
    quantizer.this.disown()
    index.own_fields = True
    return index


@dataclass(frozen=True, eq=False)
class ListSearch:
    """Vectors (m, d) float16 sorted by class, as in `ExactSearch`, and the lists that they are in."""

    vectors: Vectors
    starts: NDArray[np.int64]
    lists: Lists

    rows_at_once = 1024

    @property
    def candidates(self) -> int:
        """So many vectors are measured for every query; the trust ratio looks for its classes among them first."""
        return min(len(self.vectors), max(_CANDIDATES, 32 + int(math.sqrt(len(self.vectors)) / 8)))

    @cached_property
    def index(self) -> Any:
        """The FAISS index of one-byte codes, made of the arrays without learning again."""
        faiss = _faiss()
        index = _empty(self.lists.centroids)
        faiss.copy_array_to_vector(self.lists.ranges, index.sq.trained)
        index.is_trained = True
        by_list = np.argsort(self.lists.of_row, kind="stable")
        ends = np.cumsum(np.bincount(self.lists.of_row, minlength=index.nlist))
        for start, end in _whole_lists(ends):
            rows = by_list[start:end]
            of_row = self.lists.of_row[rows].astype(np.int64)
            codes = np.empty((len(rows), index.code_size), dtype=np.uint8)
            x = self.vectors[rows].astype(np.float32)
            index.encode_vectors(len(rows), *map(faiss.swig_ptr, (x, of_row, codes)))
            _fill(index, rows, of_row, codes)
        index.ntotal = len(self.vectors)
        return index

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """(d, l) float64, so that which lists are nearest does not depend on how many queries come together."""
        return np.ascontiguousarray(self.lists.centroids.T, dtype=np.float64)

    @cached_property
    def squares(self) -> NDArray[np.float64]:
        """(l,) squared lengths of the centroids."""
        return np.asarray(np.square(self.centroids).sum(axis=0))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(l,) how many vectors are in each list."""
        return np.asarray(self.members.sum(axis=0))

    @cached_property
    def members(self) -> NDArray[np.int32]:
        """(c, l) how many vectors of each class are in each list."""
        c, count = len(self.starts) - 1, len(self.lists.centroids)
        of_class = np.repeat(np.arange(c), np.diff(self.starts))
        return np.bincount(of_class * count + self.lists.of_row, minlength=c * count).reshape(c, count).astype(np.int32)

    def look(self, queries: NDArray[np.float32]) -> ListLook:
        """Find and measure the candidates of queries (n, d) of length 1."""
        to_lists = self.squares - 2 * (queries.astype(np.float64) @ self.centroids)
        everywhere = np.ones(len(self.lists.centroids), dtype=bool)
        return ListLook(self, queries, to_lists, *self.within(queries, to_lists, everywhere, self.candidates))

    def within(
        self,
        queries: NDArray[np.float32],
        to_lists: NDArray[np.float64],
        allowed: NDArray[np.bool_],
        count: int,
        selector: Any = None,
        probes: int | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances (n, count), ascending, and positions in the nearest of the allowed lists; inf, -1 = none."""
        faiss = _faiss()
        n, probes = len(queries), min(probes or self.lists.probes, int(allowed.sum()))
        near = np.where(allowed, to_lists, np.inf)
        chosen = np.sort(np.argpartition(near, probes - 1, axis=1)[:, :probes], axis=1).astype(np.int64)
        to_chosen = np.take_along_axis(near, chosen, axis=1).astype(np.float32)
        distances, positions = np.empty((n, count), dtype=np.float32), np.empty((n, count), dtype=np.int64)
        x = np.ascontiguousarray(queries)
        pointers = map(faiss.swig_ptr, (chosen, to_chosen, distances, positions))
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        self.index.search_preassigned_c(n, faiss.swig_ptr(x), count, *pointers, False, parameters)
        return sorted_by_distance(x, self.vectors, positions)

    def settled(self, queries: NDArray[np.float32]) -> Lists:
        """Look at more lists until enough of the true nearest of queries (n, d) are found, and say how many are."""
        truth = true_distances(queries, self.vectors, min(RECALL_AT, len(self.vectors)))
        lists = self.lists
        while True:
            look = self.with_lists(lists).look(queries)
            found = look.nearest(truth.shape[1])[0] <= truth[:, -1:] + 1e-9
            lists = replace(lists, recall=float(found.mean()))
            if lists.recall >= RECALL or lists.probes >= len(lists.centroids):
                return lists
            lists = replace(lists, probes=min(lists.probes * 3 // 2 + 1, len(lists.centroids)))

    def with_lists(self, lists: Lists) -> ListSearch:
        """Return the same with other `probes` and `recall`, sharing the FAISS index in memory."""
        other = replace(self, lists=lists)
        vars(other).update(
            {name: getattr(self, name) for name in ("index", "centroids", "squares", "members", "sizes")}
        )
        return other


@dataclass(frozen=True, eq=False)
class ListLook:
    """Candidates of n queries: distances (n, k), ascending, and positions; and how far the lists (n, l) are."""

    search: ListSearch
    queries: NDArray[np.float32]
    to_lists: NDArray[np.float64]
    distances: NDArray[np.float64]
    positions: NDArray[np.int64]

    def nearest(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances (n, k), ascending, and positions of the k nearest vectors found; k is at most m."""
        distances, positions = self.distances, self.positions
        everywhere = np.ones(self.to_lists.shape[1], dtype=bool)
        if k + _SPARE > distances.shape[1] and distances.shape[1] < len(self.search.vectors):
            count = min(len(self.search.vectors), k + k // 8 + _SPARE)
            distances, positions = self.search.within(self.queries, self.to_lists, everywhere, count)
        distances, positions = distances[:, :k].copy(), positions[:, :k].copy()
        if len(few := np.flatnonzero(positions[:, k - 1] < 0)):
            asked = self.queries[few], self.to_lists[few], everywhere, k
            distances[few], positions[few] = self.search.within(*asked, probes=len(everywhere))
        return distances, positions

    def own_and_other(self, own: NDArray[np.int64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the distances of `ExactLook.own_and_other`, among the candidates or else in a search of their own."""
        own_distance, other = self._reached(self.distances, self.positions, own, k)
        one_class = len(self.search.starts) == 2
        for j in np.unique(own):
            rows = np.flatnonzero(own == j)
            missing = rows[np.isinf(own_distance[rows])]
            if j >= 0 and len(missing):
                own_distance[missing] = self._kth(missing, j, k)
            missing = rows[np.isinf(other[rows])]
            if len(missing) and not (one_class and j == 0):
                other[missing] = self._nearest_other(missing, j, k)
        return own_distance, np.minimum(other, LARGEST_DISTANCE)

    def _reached(
        self, distances: NDArray[np.float64], positions: NDArray[np.int64], own: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return at which distance the own class, and the first other one, has its k-th candidate; inf = not there."""
        starts = self.search.starts
        of_class = np.where(positions < 0, -1, np.searchsorted(starts, positions, side="right") - 1)
        wanted = np.minimum(k, np.append(np.diff(starts), 0))[of_class]
        reached = (_occurrence(of_class) == wanted - 1) & (of_class >= 0)
        is_own = of_class == own[:, None]
        return (
            distances.min(axis=1, where=reached & is_own, initial=np.inf),
            distances.min(axis=1, where=reached & ~is_own, initial=np.inf),
        )

    def _kth(self, rows: NDArray[np.int64], j: int, k: int) -> NDArray[np.float64]:
        """Return the distance of these queries to the k-th nearest of a class, or else its furthest."""
        faiss = _faiss()
        start, end = (int(at) for at in self.search.starts[j : j + 2])
        k, allowed = min(k, end - start), self.search.members[j] > 0
        asked: dict[str, Any] = {"selector": faiss.IDSelectorRange(start, end), "count": min(end - start, k + _SPARE)}
        asked["probes"] = _OF_CLASS * self.search.lists.probes
        found = self.search.within(self.queries[rows], self.to_lists[rows], allowed, **asked)[0][:, k - 1]
        if len(few := np.flatnonzero(np.isinf(found))):
            where = self.queries[rows[few]], self.to_lists[rows[few]], allowed
            found[few] = self.search.within(*where, **asked | {"probes": len(allowed)})[0][:, k - 1]
        return found

    def _nearest_other(self, rows: NDArray[np.int64], j: int, k: int) -> NDArray[np.float64]:
        """Search among all classes but one; where none has k candidates, measure the one with most of them."""
        faiss = _faiss()
        start, end = (0, 0) if j < 0 else (int(at) for at in self.search.starts[j : j + 2])
        allowed = self.search.sizes > (0 if j < 0 else self.search.members[j])
        others = faiss.IDSelectorNot(own := faiss.IDSelectorRange(start, end))
        count = min(len(self.search.vectors), _CANDIDATES + 4 * k)
        asked = self.queries[rows], self.to_lists[rows], allowed, count, others
        distances, positions = self.search.within(*asked, probes=_OF_OTHERS * self.search.lists.probes)
        del own  # FAISS does not keep it alive
        other = self._reached(distances, positions, np.full(len(rows), j), k)[1]
        for row in np.flatnonzero(np.isinf(other)):
            found = positions[row][positions[row] >= 0]
            most = np.bincount(np.searchsorted(self.search.starts, found, side="right") - 1).argmax()
            other[row] = self._kth(rows[row : row + 1], int(most), k)[0]
        return other


def true_distances(queries: NDArray[np.float32], vectors: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return (n, k) float64 distances to the true nearest, block after block of the vectors."""
    best = np.full((len(queries), k), np.inf)
    for rows in blocks(len(vectors), _ROWS_AT_ONCE):
        part = vectors[rows].astype(np.float32)
        look = ExactSearch(part, np.array([0, len(part)])).look(queries)
        found = look.nearest(min(k, len(part)))[0]
        best = np.sort(np.concatenate([best, found], axis=1), axis=1)[:, :k]
    return best


def _occurrence(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count, in each row, how often the same class stood before.

    >>> _occurrence(np.array([[5, 7, 5, 5, 7]])).tolist()
    [[0, 0, 1, 2, 1]]
    """
    order = np.argsort(classes, axis=1, kind="stable")
    ordered = np.take_along_axis(classes, order, axis=1)
    places = np.broadcast_to(np.arange(classes.shape[1]), classes.shape)
    new = np.concatenate([np.ones((len(classes), 1), dtype=bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    found = np.empty_like(order)
    np.put_along_axis(found, order, places - first, axis=1)
    return found


def _whole_lists(ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut rows that are sorted by list into parts of some 16,000, at the ends of lists.

    >>> _whole_lists(np.array([10_000, 17_000, 17_000, 20_000]))
    [(0, 17000), (17000, 20000)]
    """
    cuts = [0]
    for end in map(int, ends):
        if end - cuts[-1] >= _CODES_AT_ONCE:
            cuts.append(end)
    if cuts[-1] < ends[-1]:
        cuts.append(int(ends[-1]))
    return list(pairwise(cuts))


def _fill(index: Any, rows: NDArray[np.int64], of_row: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
    """Give each list its vectors in one piece: FAISS reserves up to twice the memory where they come one by one."""
    faiss = _faiss()
    starts = np.flatnonzero(np.append(True, of_row[1:] != of_row[:-1]))
    for start, end in zip(starts, np.append(starts[1:], len(rows)), strict=True):
        part, ids = codes[start:end], rows[start:end]
        index.invlists.add_entries(int(of_row[start]), len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(part))
