"""Feature posterior: what regularised classifiers on the classifier's own features say of the classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._label_fusion import LabelFusion
from uncertainty.outputs import ModelOutputs

Array = NDArray[np.float64]


class FeaturePosterior(LabelFusion):
    """Log-odds that the prediction is wrong, by a posterior that reads the classifier's own features once more.

    Formula: log Σ_{c ≠ ŷ} exp g_c - g_ŷ, g(x) = Σ_s w_s log p_s(x) + t Σ_r w_r log p_r(x) + t b, as in
    fused_posterior. Sources s: softmax, and the means of the dropout sub-networks and of views. Sources r, on the
    features: the vote of the 20 nearest known-good rows, a linear discriminant, and three logistic probes, all held
    back more than the last layer of a network that has learnt its training images by heart. What they say rests on
    known-good rows nearby, so it fades with the support t = exp(-max(0, (log d_k - m) / σ)), d_k the distance to the
    k-th nearest, m and σ median and spread of log d_k over calibration: far away no class is likelier than another by
    them, which the combination reads as doubt. Multilabel: none.
    Range: all numbers.
    Needs: features and logits; mc_probs and tta_probs are used where calibration has them. Labelled calibration rows,
    and the reference.
    Left out where there is an embedding: fused_posterior reads the features beside it.
    Fit keeps: what fused_posterior does, without directions.
    Cost: as fused_posterior, with no second network; the index and one look at it are shared with nn_distance.
    Source: as fused_posterior; fading by distance follows Sun et al. 2022, as in nn_distance.

    Examples
    --------
    Softmax alone counts: probabilities 3/4 and 1/4 have log-odds log(1/3) of an error.

    >>> learnt = {"weights_": np.array([1.0, 0.0]), "bias_": np.zeros(2), "directions_": np.empty((2, 0))}
    >>> learnt |= {"usual_": np.array([0.0, np.inf])}
    >>> alone = FeaturePosterior().restore(learnt | {"present_": np.zeros(3, dtype=int), "lines_": np.empty((0, 2, 1))})
    >>> new = ModelOutputs(ids=["a"], logits=[[np.log(3.0), 0.0]], features=[[0.0]])
    >>> alone.score(new).round(4).tolist()
    [-1.0986]

    """

    column = "features"
    needs = ("features", "logits")
    fit_needs = ("features",)
    reference_needs = ("features",)
    unless = ("embedding",)
    family = "neighbours"
    reason = "nearer_to_another_class"
    posterior = False
    axes = 0
    far = 0.0
    fading = 1.0

    def _sources(self, outputs: ModelOutputs) -> list[tuple[str, Callable[[], Array]]]:
        """Return the same sources; those on the features fade with their support, which is looked up once."""
        support = cache(lambda: self._support(outputs)[:, None])

        def faded(source: Callable[[], Array]) -> Callable[[], Array]:
            return lambda: support() * source()

        return [(word, faded(source) if word == self.reason else source) for word, source in super()._sources(outputs)]
