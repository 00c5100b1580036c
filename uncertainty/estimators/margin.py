"""Margin: how near the runner-up comes to the predicted class, in probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import decision_risks, gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class Margin(Estimator):
    """One minus the lead of the predicted class over the runner-up.

    Formula: 1 - (p_(1) - p_(2)). Multilabel: the least sure decision, max over labels of r_c / w_c, where r_c is the
    probability that the decision is wrong and w_c what it is at the decision threshold t_c (t_c where 0 was predicted,
    1 - t_c where 1 was); at t = 1/2 this is 1 - |p - (1 - p)|.
    Range: [0, 1], 1 = a tie. Not -(p_(1) - p_(2)), since float64 tells sure rows apart near 0 but not near -1.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Scheffer, Decomain & Wrobel 2001, "Active Hidden Markov Models for Information Extraction".

    Examples
    --------
    Probabilities 1/4 and 3/4 lead by 1/2.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> Margin().score(outputs).round(6).tolist()
    [0.5]

    """

    needs = ("logits",)
    bounds = (0.0, 1.0)
    scale = "logit"
    family = "softmax"
    reason = "low_margin"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            t = outputs.decision_thresholds
            at_threshold = np.where(outputs.predictions == 1, 1 - t, t)
            return np.asarray((decision_risks(outputs) / at_threshold).max(axis=1).clip(max=1))
        ratios = np.exp(gaps_to_best(outputs.logits))
        others = ratios.sum(axis=1)
        return np.asarray((others + ratios[:, -1]) / (1 + others))
