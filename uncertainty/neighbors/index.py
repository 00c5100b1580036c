"""The index of known-good vectors: exact while that is cheap, approximate above."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError, OutputsError
from uncertainty.neighbors.exact import ExactLook, ExactSearch
from uncertainty.neighbors.lists import MEASURED_ROWS, ListLook, Lists, ListSearch, list_count, nearest_list
from uncertainty.neighbors.vectors import Vectors, blocks, normalised

EXACT_UP_TO = 100_000_000
"""Rows times dimensions up to which search is exact; see `benchmarks/README.md` for what either costs there."""
_LISTS = "centroids", "of_row", "ranges", "probes", "recall"


@dataclass(frozen=True, eq=False)
class NeighborIndex:
    """Known-good vectors of length 1, sorted by class, so that each class is one contiguous slice.

    Make one with `NeighborIndex.build(features, classes)`; the constructor takes `vectors` (m, d), `classes` (m,) int64
    and `lists` that an earlier index had, as they are and without a copy. Nothing of an index ever changes.

    Distances are Euclidean between normalised vectors: sqrt(2 - 2 cos), 0 = same direction, 2 = opposite. A zero vector
    stays zero: it is at distance 1 from every unit vector and 0 from another zero vector. Search in float32 (and, where
    it is approximate, in one-byte codes) only picks the candidates; their distances are computed again in float64 from
    the stored vectors, the same however many queries come together.

    Up to `EXACT_UP_TO` numbers the vectors are float32 and search is exact. Above, they are float16 and search is
    approximate (IVF): of the true ten nearest it finds 95 % at least, see `settled`.

    Examples
    --------
    The query (3, 4) is (0.6, 0.8) at length 1: sqrt(0.6² + 0.2²) from (0, 1) and sqrt(0.4² + 0.8²) from (1, 0).

    >>> index = NeighborIndex.build([[0.0, 2.0], [5.0, 0.0]], [7, 3])
    >>> index.search([[3.0, 4.0]], k=2).round(4).tolist()
    [[0.6325, 0.8944]]
    >>> own, other = index.own_and_other([[3.0, 4.0]], [3], k=1)
    >>> own.round(4).tolist(), other.round(4).tolist()
    ([0.8944], [0.6325])
    >>> index.add([[-1.0, 0.0]], [3]).remove([1]).search([[3.0, 4.0]], k=2).round(4).tolist()
    [[0.6325, 0.8944]]

    """

    vectors: Vectors
    classes: NDArray[np.int64]
    lists: Lists | None = None

    @classmethod
    def build(cls, features: Any, classes: Any, *, approximate: bool | None = None, seed: int = 0) -> Self:
        """Normalise features (m, d) and sort them by their classes (m,), keeping the order inside a class.

        `approximate`: None = where rows times dimensions exceed `EXACT_UP_TO`. Raises InputError without a row, or when
        the two differ in length.
        """
        x, y = np.asarray(features), np.asarray(classes, dtype=np.int64)
        if x.ndim != 2 or y.shape != x.shape[:1] or len(x) == 0:
            raise InputError(
                f"an index needs features (m, d) and classes (m,) of at least one known-good row; "
                f"got shapes {x.shape} and {y.shape}"
            )
        order = np.argsort(y, kind="stable")
        if not _is_approximate(x.shape, approximate):
            return cls(_stored(x, order, np.float32), y[order])
        vectors = _stored(x, order, np.float16)
        index = cls(vectors, y[order], Lists.learn(vectors, seed))
        return index.settled(vectors[np.random.default_rng(seed).permutation(len(vectors))[:MEASURED_ROWS]])

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Self:
        """Undo `arrays`; nothing is learnt again."""
        lists = {name: arrays[name] for name in _LISTS if name in arrays}
        if lists:
            lists |= {"probes": int(lists["probes"]), "recall": float(lists["recall"])}
        return cls(arrays["vectors"], arrays["classes"], Lists(**lists) if lists else None)

    def arrays(self) -> dict[str, Any]:
        """Return what there is to save, arrays and numbers, by name."""
        lists = {} if self.lists is None else {name: getattr(self.lists, name) for name in _LISTS}
        return {"vectors": self.vectors, "classes": self.classes, **lists}

    @cached_property
    def known_classes(self) -> NDArray[np.int64]:
        """The classes present, ascending."""
        return np.unique(self.classes)

    @cached_property
    def _search(self) -> ExactSearch | ListSearch:
        starts = np.append(np.searchsorted(self.classes, self.known_classes), len(self.classes))
        if self.lists is None:
            return ExactSearch(self.vectors, starts)
        return ListSearch(self.vectors, starts, self.lists)

    def search(self, queries: Any, k: int) -> NDArray[np.float64]:
        """Return (n, min(k, m)) float64 distances of queries (n, d) to their k nearest vectors, ascending."""
        return self.neighbours(queries, k)[0]

    def neighbours(self, queries: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances as `search` does, and the classes of those vectors, both (n, min(k, m))."""
        distances, positions = self.nearest(queries, k)
        return distances, self.classes[positions]

    def nearest(self, queries: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances as `search` does, and the positions of those vectors, both (n, min(k, m))."""
        x, k = self._checked(queries, k), min(k, len(self.vectors))
        distances, positions = np.empty((len(x), k)), np.empty((len(x), k), dtype=np.int64)
        for rows, look in self._looks(x):
            distances[rows], positions[rows] = look.nearest(k)
        return distances, positions

    def own_and_other(self, queries: Any, classes: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the distances of queries (n, d) to their own class (n,) and to the nearest other class, (n,) float64.

        The distance to a class is that to its k-th nearest vector, or its furthest where it has fewer. The first is
        inf where the index has no vector of that class, the second 2 where it has none of another.
        """
        x, wanted = self._checked(queries, k), np.asarray(classes, dtype=np.int64)
        places = np.searchsorted(self.known_classes, wanted).clip(max=len(self.known_classes) - 1)
        own = np.where(self.known_classes[places] == wanted, places, -1)
        near, other = np.empty(len(x)), np.empty(len(x))
        for rows, look in self._looks(x):
            near[rows], other[rows] = look.own_and_other(own[rows], k)
        return near, other

    def add(self, features: Any, classes: Any) -> Self:
        """Return an index with more rows, each behind those of its class; it stays exact, or approximate, as it is.

        New rows go into the lists there are: build the index again once it has grown to several times its size.
        """
        x, y = np.asarray(features), np.asarray(classes, dtype=np.int64)
        if x.ndim != 2 or y.shape != x.shape[:1] or x.shape[1] != self.vectors.shape[1]:
            raise InputError(
                f"rows to add need features (n, {self.vectors.shape[1]}) and classes (n,); "
                f"got shapes {x.shape} and {y.shape}"
            )
        more = _stored(x, np.arange(len(x)), self.vectors.dtype.type)
        joined = np.concatenate([self.classes, y])
        order = np.argsort(joined, kind="stable")
        lists = self.lists
        if lists is not None:
            of_row = np.concatenate([lists.of_row, nearest_list(more, lists.centroids)])
            lists = replace(lists, of_row=of_row[order])
        return type(self)(np.concatenate([self.vectors, more])[order], joined[order], lists)

    def remove(self, rows: Any) -> Self:
        """Return an index without the rows at these positions.

        Raises InputError for a position that there is not, and where nothing would be left.
        """
        gone = np.unique(np.asarray(rows, dtype=np.int64))
        if len(gone) and not 0 <= gone[0] <= gone[-1] < len(self.classes):
            raise InputError(f"rows {gone[0]} to {gone[-1]} can't be removed from {len(self.classes)} known-good rows")
        if len(gone) == len(self.classes):
            raise InputError(f"all {len(gone)} known-good rows would be removed; leave one at least")
        kept = np.ones(len(self.classes), dtype=bool)
        kept[gone] = False
        lists = None if self.lists is None else replace(self.lists, of_row=self.lists.of_row[kept])
        return type(self)(self.vectors[kept], self.classes[kept], lists)

    def settled(self, queries: Any) -> Self:
        """Return an approximate index that finds 95 % of the true ten nearest of queries (n, d), measured by `recall`.

        More lists are looked at until it does. An exact index is returned as it is.
        """
        search = self._search
        if not isinstance(search, ListSearch) or len(queries) == 0:
            return self
        found = search.with_lists(search.settled(normalised(queries)))
        index = replace(self, lists=found.lists)
        vars(index)["_search"] = found  # it shares the FAISS index, which is most of the memory
        return index

    def _looks(self, x: NDArray[Any]) -> Iterator[tuple[slice, ExactLook | ListLook]]:
        size = self._search.rows_at_once
        if len(x) <= size:
            yield slice(0, len(x)), self._looked(x)
            return
        for rows in blocks(len(x), size):
            yield rows, self._search.look(normalised(x[rows]))

    def _looked(self, x: NDArray[Any]) -> ExactLook | ListLook:
        # Estimators stay pure functions of a batch, and yet those that share an index share one look at it: the last
        # one is kept for as long as the very array lives that was asked with, and only if nobody can write to it.
        kept = vars(self).get("_last")
        if kept is not None and kept[0]() is x:
            return kept[1]  # type: ignore[no-any-return]
        look = self._search.look(normalised(x))
        if not x.flags.writeable:
            vars(self)["_last"] = weakref.ref(x, partial(_forget, weakref.ref(self))), look
        return look

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _checked(self, queries: Any, k: int) -> NDArray[Any]:
        x = np.asarray(queries)
        if k < 1:
            raise InputError(f"k is {k}; the number of neighbours must be at least 1")
        if x.ndim != 2 or x.shape[1] != self.vectors.shape[1]:
            raise OutputsError(
                f"features have shape {x.shape} and the known-good ones {self.vectors.shape}; "
                f"they must come from the same layer of the same model"
            )
        return x


def _forget(owner: weakref.ref[NeighborIndex], queries: weakref.ref[NDArray[Any]]) -> None:
    index = owner()
    if index is not None and (kept := vars(index).get("_last")) is not None and kept[0] is queries:
        vars(index).pop("_last", None)


def memory_needed(rows: int, dimensions: int, *, approximate: bool | None = None) -> int:
    """Return the bytes that an index of so many rows and dimensions takes, vectors included.

    Formula: m (4 d + 8) for exact search, float32 vectors and a class each. Approximate: m (2 d + d + 20) + 16 l d,
    float16 vectors, one-byte codes; class, list and position of each; and l = 2 √m centroids in float32 and float64.

    >>> memory_needed(20_000, 1280), memory_needed(1_000_000, 256)
    (102560000, 796192000)
    """
    if not _is_approximate((rows, dimensions), approximate):
        return rows * (4 * dimensions + 8)
    return rows * (3 * dimensions + 20) + 16 * list_count(rows) * dimensions


def _is_approximate(shape: tuple[int, ...], wanted: bool | None) -> bool:
    return shape[0] * shape[1] > EXACT_UP_TO if wanted is None else wanted


def _stored(x: NDArray[Any], order: NDArray[np.int64], kind: type[np.float16] | type[np.float32]) -> Any:
    vectors = np.empty(x.shape, dtype=kind)
    for rows in blocks(len(x), 1 << 14):
        vectors[rows] = normalised(x[order[rows]])
    return vectors
