"""Known-good images with like features vote on the predicted class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._known_good import KnownGoodEstimator
from uncertainty.estimators._vote import dissent
from uncertainty.outputs import ModelOutputs


class NeighbourAgreement(KnownGoodEstimator):
    """Share of the k nearest known-good images, in the classifier's own features, that are of another class.

    Formula: 1 - (Σ_i w_i [class_i = ŷ] + 1/c) / (Σ_i w_i + 1) over the k nearest, w_i = (1 - (d_i / d_k)²) + 1/k, as in
    second_opinion_vote. Multilabel: none.
    Range: [0, 1].
    Needs: features and logits; reference rows with features (class = label, or prediction without labels).
    Fit keeps: `index_`, the vectors (m, d) of length 1, sorted by class, and their classes (m,).
    Cost: as in nn_distance, with which it shares the index.
    Source: Papernot & McDaniel 2018, "Deep k-Nearest Neighbors", of the last layer alone.

    Examples
    --------
    Both known images have the same distance to (1, 1), so w = 1/2 each, and the class predicted has one of them:
    1 - (1/2 + 1/2) / (1 + 1) = 0.5.

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0], [0.0, 1.0]], features=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[2.0, 2.0]])
    >>> NeighbourAgreement(k=2).fit(known).score(new).round(4).tolist()
    [0.5]

    """

    needs = ("features", "logits")
    fit_needs = ("features",)
    bounds = (0.0, 1.0)
    scale = "logit"
    tasks = ("multiclass",)
    family = "neighbours"
    reason = "nearer_to_another_class"
    default = False

    def __init__(self, k: int = 20, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return dissent(self.index_, outputs.features, self.k, outputs)
