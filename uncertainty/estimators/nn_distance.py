"""Distance to the nearest known-good features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._known_good import KnownGoodEstimator, enough, neighbours_for
from uncertainty.neighbors import LARGEST_DISTANCE
from uncertainty.outputs import ModelOutputs


class NNDistance(KnownGoodEstimator):
    """Distance to the k-th nearest known-good image in the classifier's feature space, of whatever class.

    Formula: the k-th smallest ‖f/‖f‖ - r/‖r‖‖ over known-good features r; the furthest where there are fewer than k.
    Without an argument k = max(1, √m / 12) rounded, m the number of known-good images. Multilabel: the same.
    Range: [0, 2].
    Needs: features; reference rows with features.
    Fit keeps: `index_`, the vectors (m, d) of length 1, sorted by class, and their classes (m,); `k_`.
    Cost: O(n m d) and 4 m d bytes, shared with trust_ratio; where m d > 10⁸, search is approximate (`approximate`
    says otherwise): some O(n √m d) and 3 m d bytes.
    Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors" (k = 50 for 50,000 images).

    Examples
    --------
    (3, 4) is (0.6, 0.8) at length 1: sqrt(0.6² + 0.2²) = 0.6325 from (0, 1) and 0.8944 from (1, 0).

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0], [0.0, 1.0]], features=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]])
    >>> NNDistance(k=1).fit(known).score(new).round(4).tolist(), NNDistance(k=2).fit(known).score(new).round(4).tolist()
    ([0.6325], [0.8944])

    """

    needs = ("features",)
    fit_needs = ("features",)
    bounds = (0.0, LARGEST_DISTANCE)
    scale = "log"
    family = "neighbours"
    reason = "far_from_known_good"

    def __init__(self, k: int | None = None, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    def _fit(self, reference: ModelOutputs) -> None:
        super()._fit(reference)
        self.k_ = self.k or neighbours_for(len(self.index_.classes))

    def tells_far(self) -> bool:
        """Return whether each class has enough known-good images.

        Far in the eyes of a second network, which knows nothing of the classes, are many clean images too.
        """
        return enough(self.index_.classes)

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return self.index_.search(outputs.features, int(self.k_))[:, -1]
