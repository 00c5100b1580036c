"""Mutual information between prediction and dropout mask (BALD)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import entropies
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class MCMutualInformation(Estimator):
    """How much of the predictive entropy is disagreement among the dropout sub-networks (BALD), in nats.

    Formula: H(p̄) - mean_t H(p_t) with p̄ = mean_t p_t. Multilabel: mean over labels of the binary form.
    Range: [0, ln c] (multilabel [0, ln 2]), never above the predictive entropy; 0 = all sub-networks agree.
    Needs: mc_probs.
    Fit keeps: nothing.
    Cost: O(n t c), and t passes of the network.
    Source: Houlsby et al. 2011, "Bayesian Active Learning for Classification and Preference Learning"; for images Gal,
    Islam & Ghahramani 2017, "Deep Bayesian Active Learning with Image Data".

    Examples
    --------
    Sub-networks that say (1, 0) and (1/2, 1/2): H(3/4, 1/4) - (0 + ln 2) / 2 = 0.562335 - 0.346574.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], mc_probs=[[[1.0, 0.0], [0.5, 0.5]]])
    >>> MCMutualInformation().score(outputs).round(6).tolist()
    [0.215762]

    """

    needs = ("mc_probs",)
    bounds = (0.0, np.inf)
    scale = "log"
    family = "dropout"
    reason = "unstable_under_dropout"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        mc, task = outputs.mc_probs, outputs.task
        total = entropies(mc.mean(axis=1, dtype=np.float64), task)
        each = entropies(mc.reshape(-1, mc.shape[2]), task).reshape(mc.shape[:2])
        expected = np.mean(np.ascontiguousarray(each.T), axis=0)
        return np.asarray((total - expected).clip(min=0))  # rounding can leave -1e-17
