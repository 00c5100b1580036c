"""Which labels stand together in an image: as they are given, and as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.report.decisions import Decisions
from uncertainty.report.matrix import MOST_CLASSES, MOST_PAIRS


def together(decisions: Decisions) -> dict[str, Any]:
    """Count images by pairs of labels: `said` and, where labels are known, `carried`, as [class, class, images].

    A class beside itself counts all its images. `shown` are the class numbers with a row and column: all that occur,
    or the 24 that occur most. `pairs` are those given together more often than they are there, as [class, class,
    given, there], counted where both answers are known.

    >>> yes, no = np.array([[True, True]]), np.array([[True, False]])
    >>> number = np.full((1, 2), np.nan)
    >>> found = together(Decisions(yes, no, np.array([[True, True]]), number, number, None))
    >>> found["said"], found["carried"], found["pairs"]
    ([[0, 0, 1], [0, 1, 1], [1, 1, 1]], [[0, 0, 1]], [[0, 1, 1, 0]])
    """
    known = decisions.known
    said, carried = _pairs(decisions.said), _pairs(decisions.carried & known)
    often = np.maximum(np.diag(said), np.diag(carried))
    present = np.flatnonzero(often)
    shown = np.sort(present[np.argsort(-often[present], kind="stable")[:MOST_CLASSES]])
    there = {"said": _cells(said, shown)} | ({"carried": _cells(carried, shown)} if known.any() else {})
    pairs = _excess(_pairs(decisions.said & known), carried) if known.any() else []
    return {"shown": shown.tolist(), "classes": len(present), "pairs": pairs, **there}


def _pairs(sets: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(c, c) in how many rows both labels are; in float32, whose whole numbers are exact far beyond any count here."""
    numbers = sets.astype(np.float32)
    return np.asarray((numbers.T @ numbers).round().astype(np.int64))


def _cells(counts: NDArray[np.int64], shown: NDArray[np.int64]) -> list[list[int]]:
    return [[int(i), int(j), int(counts[i, j])] for i in shown for j in shown if i <= j and counts[i, j]]


def _excess(said: NDArray[np.int64], carried: NDArray[np.int64]) -> list[list[int]]:
    more = np.triu(said - carried, 1)
    order = np.argsort(-more, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(at), len(said)) for at in order]
    return [[i, j, int(said[i, j]), int(carried[i, j])] for i, j in pairs if more[i, j] > 0]
