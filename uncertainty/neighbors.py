"""Nearest neighbours among known-good features, by exact search with FAISS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError, OutputsError

LARGEST_DISTANCE = 2.0
# Queries are handled in blocks, so that memory doesn't grow with their number.
_BLOCK_ROWS = 1024
_BLOCK_FLOATS = 1 << 20
# float32 can't rank near-duplicates; the spare candidates are ranked again in float64.
_SPARE_CANDIDATES = 4
# Matrix products beat FAISS' own loop from about six queries on (measured on one thread, 64 to 512 dimensions).
_BLAS_ROWS = 8


@dataclass(frozen=True, eq=False)
class NeighborIndex:
    """Known-good vectors of length 1, sorted by class, so that each class is one contiguous slice.

    Make one with `NeighborIndex.build(features, classes)`; the constructor takes `vectors` (m, d) float32 and `classes`
    (m,) int64 that an earlier index had, as they are and without a copy.

    Distances are Euclidean between normalised vectors: sqrt(2 - 2 cos), 0 = same direction, 2 = opposite. A zero vector
    stays zero: it is at distance 1 from every unit vector and 0 from another zero vector. FAISS (float32) only picks
    the candidates; their distances are computed again in float64, the same however many queries come together.

    Examples
    --------
    The query (3, 4) is (0.6, 0.8) at length 1: sqrt(0.6² + 0.2²) from (0, 1) and sqrt(0.4² + 0.8²) from (1, 0).

    >>> index = NeighborIndex.build([[0.0, 2.0], [5.0, 0.0]], [7, 3])
    >>> index.search([[3.0, 4.0]], k=2).round(4).tolist()
    [[0.6325, 0.8944]]
    >>> index.known_classes.tolist(), index.class_distances([[3.0, 4.0]], k=1).round(4).tolist()
    ([3, 7], [[0.8944, 0.6325]])

    """

    vectors: NDArray[np.float32]
    classes: NDArray[np.int64]

    @classmethod
    def build(cls, features: Any, classes: Any) -> Self:
        """Normalise features (m, d) and sort them by their classes (m,), keeping the order inside a class.

        Raises InputError without a row, or when the two differ in length.
        """
        x, y = np.asarray(features), np.asarray(classes, dtype=np.int64)
        if x.ndim != 2 or y.shape != x.shape[:1] or len(x) == 0:
            raise InputError(
                f"an index needs features (m, d) and classes (m,) of at least one known-good row; "
                f"got shapes {x.shape} and {y.shape}"
            )
        order = np.argsort(y, kind="stable")
        return cls(normalised(x)[order], y[order])

    @cached_property
    def known_classes(self) -> NDArray[np.int64]:
        """The classes present, ascending: the columns of `class_distances`."""
        return np.unique(self.classes)

    def search(self, queries: Any, k: int) -> NDArray[np.float64]:
        """Return (n, min(k, m)) float64 distances of queries (n, d) to their k nearest vectors, ascending."""
        return self.neighbours(queries, k)[0]

    def neighbours(self, queries: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances as `search` does, and the classes of those vectors, both (n, min(k, m))."""
        x = self._checked(queries, k)
        distances = np.empty((len(x), min(k, len(self.vectors))))
        classes = np.empty(distances.shape, dtype=np.int64)
        for rows in _blocks(len(x), _BLOCK_ROWS):
            distances[rows], positions = _nearest(normalised(x[rows]), self.vectors, k)
            classes[rows] = self.classes[positions]
        return distances, classes

    def class_distances(self, queries: Any, k: int) -> NDArray[np.float64]:
        """Return (n, len(known_classes)) float64: the distance to the k-th nearest vector of each class.

        A class with fewer than k vectors answers with its furthest.
        """
        x = self._checked(queries, k)
        starts = np.searchsorted(self.classes, self.known_classes)
        parts = np.split(self.vectors, starts[1:])
        found = np.empty((len(x), len(parts)))
        for rows in _blocks(len(x), _BLOCK_ROWS):
            block = normalised(x[rows])
            for column, part in enumerate(parts):
                found[rows, column] = _nearest(block, part, k)[0][:, -1]
        return found

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


def normalised(features: Any) -> NDArray[np.float32]:
    """Scale each row of (n, d) to Euclidean length 1, as float32; a zero row stays zero.

    >>> normalised([[3.0, 4.0], [0.0, 0.0]]).round(2).tolist() == np.float32([[0.6, 0.8], [0, 0]]).tolist()
    True
    """
    x = np.asarray(features, dtype=np.float64)
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    x = x / np.where(largest > 0, largest, 1)  # first, so that no square over- or underflows
    length = np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    return (x / np.where(length > 0, length, 1)).astype(np.float32)


def _nearest(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return distances (n, k), ascending, and the positions of those vectors."""
    import faiss

    candidates = min(k + _SPARE_CANDIDATES, len(vectors))
    with _faster_search(faiss, len(queries)):
        # Not by inner product: a zero vector has none with anything, and yet it is nearer than many.
        _, positions = faiss.knn(queries, vectors, candidates, metric=faiss.METRIC_L2)
    distances = np.empty(positions.shape)
    for rows in _blocks(len(queries), max(1, _BLOCK_FLOATS // (candidates * vectors.shape[1]))):
        difference = vectors[positions[rows]].astype(np.float64)
        difference -= queries[rows, None, :]
        distances[rows] = np.sqrt(np.einsum("nkd,nkd->nk", difference, difference))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(distances, order, axis=1).clip(max=LARGEST_DISTANCE)
    return nearest, np.take_along_axis(positions, order, axis=1)


@contextmanager
def _faster_search(faiss: Any, rows: int) -> Iterator[None]:
    # FAISS turns to matrix products only at rows x dimensions of 128,000, where it has long been slower without.
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 1 if rows >= _BLAS_ROWS else 1 << 30
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))
