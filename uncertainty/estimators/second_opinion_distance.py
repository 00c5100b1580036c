"""Distance to the nearest known-good images in the eyes of a second, independent network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._known_good import KnownGoodEstimator, neighbours_for
from uncertainty.neighbors import LARGEST_DISTANCE
from uncertainty.outputs import ModelOutputs


class SecondOpinionDistance(KnownGoodEstimator):
    """Distance to the k-th nearest known-good image in the embedding of a second network, of whatever class.

    Formula: the k-th smallest ‖e/‖e‖ - r/‖r‖‖ over known-good embeddings r, k as in nn_distance. Multilabel: the same.
    Range: [0, 2].
    Needs: embedding; reference rows with embedding.
    Fit keeps: `index_`, the vectors (m, e) of length 1, sorted by class, and their classes (m,); `k_`.
    Cost: one pass of the second network; search as in nn_distance, shared with second_opinion_vote.
    Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", on features that the
    classifier's own training has not bent.

    Examples
    --------
    (3, 4) is (0.6, 0.8) at length 1: sqrt(0.6² + 0.2²) = 0.6325 from (0, 1).

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0], [0.0, 1.0]], embedding=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], embedding=[[3.0, 4.0]])
    >>> SecondOpinionDistance().fit(known).score(new).round(4).tolist()
    [0.6325]

    """

    column = "embedding"
    needs = ("embedding",)
    fit_needs = ("embedding",)
    bounds = (0.0, LARGEST_DISTANCE)
    scale = "log"
    family = "second opinion"
    reason = "far_from_known_good"

    def __init__(self, approximate: bool | None = None) -> None:
        self.approximate = approximate

    def _fit(self, reference: ModelOutputs) -> None:
        super()._fit(reference)
        self.k_ = neighbours_for(len(self.index_.classes))

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return self.index_.search(outputs.embedding, int(self.k_))[:, -1]
