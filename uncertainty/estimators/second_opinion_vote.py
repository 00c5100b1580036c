"""Known-good images that a second, independent network finds alike vote on the predicted class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._known_good import KnownGoodEstimator
from uncertainty.estimators._vote import dissent
from uncertainty.outputs import ModelOutputs


class SecondOpinionVote(KnownGoodEstimator):
    """Share of the k nearest known-good images, in the embedding of a second network, that are of another class.

    Formula: 1 - (Σ_i w_i [class_i = ŷ] + 1/c) / (Σ_i w_i + 1) over the k nearest, w_i = (1 - (d_i / d_k)²) + 1/k, so
    that nearer images have more say and votes seldom tie; c classes share one vote. Multilabel: none.
    Range: [0, 1].
    Needs: embedding and logits; reference rows with embedding (class = label, or prediction without labels).
    Fit keeps: `index_`, the vectors (m, e) of length 1, sorted by class, and their classes (m,).
    Cost: one pass of the second network; search as in nn_distance, shared with second_opinion_distance.
    Source: Papernot & McDaniel 2018, "Deep k-Nearest Neighbors", on the features of another network.

    Examples
    --------
    Both known images have the same distance to (1, 1), so w = 1/2 each, and the class predicted has one of them:
    1 - (1/2 + 1/2) / (1 + 1) = 0.5.

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0], [0.0, 1.0]], embedding=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], embedding=[[2.0, 2.0]])
    >>> SecondOpinionVote(k=2).fit(known).score(new).round(4).tolist()
    [0.5]

    """

    column = "embedding"
    needs = ("embedding", "logits")
    fit_needs = ("embedding",)
    bounds = (0.0, 1.0)
    scale = "logit"
    tasks = ("multiclass",)
    family = "second opinion"
    reason = "second_opinion_disagrees"

    def __init__(self, k: int = 20, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return dissent(self.index_, outputs.embedding, self.k, outputs)
