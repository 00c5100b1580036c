"""Known-good images to set beside a suspicious one: the nearest, of a class or of any, by the screener's own index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.images.label_text import JOINT
from uncertainty.neighbors import normalised
from uncertainty.screener.fitted import Fitted

NEAREST = 3
_INDEXES = ("nn_distance", "trust_ratio")


@dataclass(frozen=True, eq=False)
class KnownGood:
    """Names, classes and feature vectors (m, d) of length 1 of m known-good images.

    `carried` (m, c), where images have several labels: 1 for a label that is there, 0 for none, -1 where nobody knows.
    """

    names: tuple[str, ...]
    classes: NDArray[np.int64]
    vectors: NDArray[np.float32]
    carried: NDArray[np.int8] | None = None

    @classmethod
    def of(cls, screener: Fitted) -> KnownGood | None:
        """Take them from a fitted screener; None where it keeps no index, or was fitted before it kept their names."""
        for estimator in screener.estimators:
            learnt = estimator.learnt()
            if estimator.name in _INDEXES and len(learnt["vectors_"]) == len(screener.known_good):
                return cls(screener.known_good, learnt["classes_"], learnt["vectors_"], _carried(screener))
        return None

    def nearest(self, feature: NDArray[Any], wanted: int | None = None) -> tuple[list[int], list[float]]:
        """Return positions of up to three images, of one class or of any, the nearest to a feature (d,) first, and
        distances. Of several labels those of a class are the images that carry it; none, where that is not known.

        Distances are those of `NeighborIndex`, between vectors of length 1: (0, 1) from itself and from (1, 0).

        >>> good = KnownGood(("a", "b", "c"), np.array([0, 0, 1]), np.float32([[1, 0], [0, 1], [0, 1]]))
        >>> good.nearest(np.array([0.0, 2.0]), 0)
        ([1, 0], [0.0, 1.4142])
        """
        rows = self._rows(wanted)
        distances = np.linalg.norm(self.vectors[rows] - normalised(feature[None]), axis=1)
        order = np.argsort(distances, kind="stable")[:NEAREST]
        return rows[order].tolist(), [round(float(d), 4) for d in distances[order]]

    def label(self, position: int, classes: Sequence[str]) -> str:
        """Return the class of an image, or the labels that it is known to carry, as text; "" for none.

        >>> carried = np.int8([[1, 1], [0, -1]])
        >>> good = KnownGood(("a", "b"), np.array([0, 0]), np.float32([[1, 0], [0, 1]]), carried)
        >>> good.label(0, ["cat", "dog"]), good.label(1, ["cat", "dog"])
        ('cat;dog', '')
        """
        if self.carried is None:
            return classes[int(self.classes[position])]
        return JOINT.join(classes[k] for k in np.flatnonzero(self.carried[position] == 1).tolist())

    def _rows(self, wanted: int | None) -> NDArray[np.int64]:
        if wanted is None:
            return np.arange(len(self.classes))
        return np.flatnonzero(self.classes == wanted if self.carried is None else self.carried[:, wanted] == 1)


def _carried(screener: Fitted) -> NDArray[np.int8] | None:
    """Return which labels known-good images carry, as the judge of decisions keeps it for its own rows."""
    if screener.model.task != "multilabel":
        return None
    kept = (estimator.learnt().get("carried_") for estimator in screener.estimators)
    found = next((one for one in kept if one is not None and len(one) == len(screener.known_good)), None)
    return np.zeros((len(screener.known_good), len(screener.model.classes)), np.int8) if found is None else found
