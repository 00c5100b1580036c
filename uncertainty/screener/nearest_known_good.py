"""Known-good images to set beside a suspicious one: the nearest, of a class or of any, by the screener's own index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.neighbors import normalised
from uncertainty.screener.fitted import Fitted

NEAREST = 3
_INDEXES = ("nn_distance", "trust_ratio")


@dataclass(frozen=True, eq=False)
class KnownGood:
    """Names, classes and feature vectors (m, d) of length 1 of m known-good images."""

    names: tuple[str, ...]
    classes: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, screener: Fitted) -> KnownGood | None:
        """Take them from a fitted screener; None where it keeps no index, or was fitted before it kept their names."""
        for estimator in screener.estimators:
            learnt = estimator.learnt()
            if estimator.name in _INDEXES and len(learnt["vectors_"]) == len(screener.known_good):
                return cls(screener.known_good, learnt["classes_"], learnt["vectors_"])
        return None

    def nearest(self, feature: NDArray[Any], wanted: int | None = None) -> tuple[list[int], list[float]]:
        """Return positions of up to three images, of one class or of any, the nearest to a feature (d,) first, and
        distances.

        Distances are those of `NeighborIndex`, between vectors of length 1: (0, 1) from itself and from (1, 0).

        >>> good = KnownGood(("a", "b", "c"), np.array([0, 0, 1]), np.float32([[1, 0], [0, 1], [0, 1]]))
        >>> good.nearest(np.array([0.0, 2.0]), 0)
        ([1, 0], [0.0, 1.4142])
        """
        rows = np.flatnonzero(np.ones(len(self.classes), bool) if wanted is None else self.classes == wanted)
        distances = np.linalg.norm(self.vectors[rows] - normalised(feature[None]), axis=1)
        order = np.argsort(distances, kind="stable")[:NEAREST]
        return rows[order].tolist(), [round(float(d), 4) for d in distances[order]]
