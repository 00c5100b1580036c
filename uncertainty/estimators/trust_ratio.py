"""Trust ratio: nearer to another class than to the predicted one?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._known_good import KnownGoodEstimator, enough, neighbours_for
from uncertainty.outputs import ModelOutputs


class TrustRatio(KnownGoodEstimator):
    """Distance to known-good images of the predicted class, against distance to the nearest other class.

    Formula: d_ŷ / (d_ŷ + d_o), d_ŷ and d_o the distances (as in nn_distance) to the k-th nearest known-good image of
    the predicted and of the nearest other class. It has the order of d_ŷ / d_o, the published trust score inverted,
    and is bounded. Without an argument k = max(1, √m / 12) rounded, m the mean number of known-good images of a class.
    Multilabel: none, since a row has no single class.
    Range: [0, 1], 1/2 = on the border, also where both distances are 0; 1 where no known-good image has the predicted
    class; with a single class d_o is the largest distance there is, 2.
    Needs: features and logits; reference rows with features (class = label, or prediction without labels).
    Fit keeps: `index_`, the vectors (m, d) of length 1, sorted by class, and their classes (m,); `k_`.
    Cost: as in nn_distance, with which it shares the index and one look at it; and O(n k d) for the candidates of the
    two classes.
    Source: Jiang et al. 2018, "To Trust Or Not To Trust A Classifier".

    Examples
    --------
    (3, 4) is predicted as class 0, which lives at (1, 0), 0.8944 away; class 1 at (0, 1) is only 0.6325 away:
    0.8944 / 1.5269 = 0.5858. (A class with fewer than k images answers with its furthest.)

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0], [0.0, 1.0]], features=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]])
    >>> TrustRatio().fit(known).score(new).round(4).tolist()
    [0.5858]

    """

    needs = ("features", "logits")
    fit_needs = ("features",)
    bounds = (0.0, 1.0)
    scale = "logit"
    tasks = ("multiclass",)
    family = "neighbours"
    reason = "nearer_to_another_class"
    start = 0.09

    def __init__(self, k: int | None = None, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    def _fit(self, reference: ModelOutputs) -> None:
        super()._fit(reference)
        self.k_ = self.k or neighbours_for(len(self.index_.classes) / len(self.index_.known_classes))

    def begins(self) -> float:
        """Return 0 where a class has too few known-good rows for a distance to mean much."""
        return self.start if enough(self.index_.classes) else 0.0

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        own, other = self.index_.own_and_other(outputs.features, outputs.predictions, int(self.k_))
        known = np.isfinite(own)
        own = np.where(known, own, 1.0)
        total = own + other
        ratio = np.divide(own, total, out=np.full(len(own), 0.5), where=total > 0)
        return np.where(known, ratio, 1.0)
