"""Variance of the predicted class under Monte Carlo dropout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class MCVariance(Estimator):
    """Variance, over t dropout sub-networks, of the probability of the class that the full network predicts.

    Formula: mean_t (p_t,ŷ - p̄_ŷ)², ŷ the largest logit. Multilabel: max over labels of the variance of p_t,c.
    Range: [0, 1/4].
    Needs: mc_probs and logits.
    Fit keeps: nothing.
    Cost: O(n t) (multilabel O(n t c)), and t passes of the network.
    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian Approximation: Representing Model Uncertainty
    in Deep Learning".

    Examples
    --------
    Two sub-networks give the predicted class 1 and 1/2: each is 1/4 off the mean.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], mc_probs=[[[1.0, 0.0], [0.5, 0.5]]])
    >>> MCVariance().score(outputs).tolist()
    [0.0625]

    """

    needs = ("mc_probs", "logits")
    bounds = (0.0, 0.25)
    scale = "log"
    family = "dropout"
    reason = "unstable_under_dropout"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            variances = outputs.mc_probs.var(axis=1, dtype=np.float64).max(axis=1)
        else:
            rows = np.arange(len(outputs))
            variances = outputs.mc_probs[rows, :, outputs.predictions].var(axis=1, dtype=np.float64)
        return np.asarray(variances.clip(max=0.25))
