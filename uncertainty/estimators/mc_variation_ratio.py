"""Variation ratio under Monte Carlo dropout: how many sub-networks vote against the majority."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class MCVariationRatio(Estimator):
    """Share of the t dropout sub-networks that do not vote for the class with the most votes.

    Formula: 1 - max_c (share of sub-networks whose largest probability is that of c). Multilabel: max over labels of
    the share of sub-networks in the minority, each deciding by the decision threshold.
    Range: [0, 1) in steps of 1/t (multilabel [0, 1/2]).
    Needs: mc_probs.
    Fit keeps: nothing.
    Cost: O(n t c), and t passes of the network.
    Source: Freeman 1965, "Elementary Applied Statistics"; Gal 2016, "Uncertainty in Deep Learning", section 3.3.1.

    Examples
    --------
    Three of four sub-networks vote for class 0.

    >>> votes = [[[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]]
    >>> MCVariationRatio().score(ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], mc_probs=votes)).tolist()
    [0.25]

    """

    needs = ("mc_probs",)
    bounds = (0.0, 1.0)
    family = "dropout"
    reason = "unstable_under_dropout"
    default = False

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        n, t, c = outputs.mc_probs.shape
        if outputs.task == "multilabel":
            yes = (outputs.mc_probs >= outputs.decision_thresholds).mean(axis=1)
            return np.asarray(np.minimum(yes, 1 - yes).max(axis=1))
        votes = outputs.mc_probs.argmax(axis=2) + c * np.arange(n)[:, None]
        most = np.bincount(votes.ravel(), minlength=n * c).reshape(n, c).max(axis=1)
        return np.asarray(1 - most / t)
