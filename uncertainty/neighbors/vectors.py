"""Vectors of length 1, and distances between them that do not depend on which others are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_DISTANCE = 2.0
SPARE = 4
"""So many candidates more than asked for: float32 can't rank near-duplicates, so they are ranked again in float64."""
_BLOCK_FLOATS = 1 << 18  # of float64, which stay in the processor's cache

Vectors = NDArray[np.floating[Any]]


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


def distances_to(queries: NDArray[np.float32], vectors: Vectors, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, w) float64 distances of queries (n, d) to the vectors at positions (n, w); inf at position -1.

    >>> distances_to(np.float32([[0, 1]]), np.float32([[0, 1], [0, -1]]), np.array([[1, 0, -1]])).tolist()
    [[2.0, 0.0, inf]]
    """
    distances = np.empty(positions.shape)
    for rows in blocks(len(queries), max(1, _BLOCK_FLOATS // max(1, positions.shape[1] * vectors.shape[1]))):
        difference = vectors[positions[rows]].astype(np.float64)
        difference -= queries[rows, None, :]
        distances[rows] = np.sqrt(np.einsum("nkd,nkd->nk", difference, difference))
    distances[positions < 0] = np.inf
    return np.minimum(distances, LARGEST_DISTANCE, out=distances, where=positions >= 0)


def sorted_by_distance(
    queries: NDArray[np.float32], vectors: Vectors, positions: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distances of `distances_to`, ascending in each row, and the positions in that order."""
    distances = distances_to(queries, vectors, positions)
    order = np.lexsort((positions, distances), axis=1)
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(positions, order, axis=1)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut n rows into slices of at most `size`."""
    return (slice(start, start + size) for start in range(0, n, size))
