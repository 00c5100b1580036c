"""Least confidence: one minus the largest probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import decision_risks, gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class LeastConfidence(Estimator):
    """Probability, by the classifier's own account, that its prediction is wrong.

    Formula: 1 - max_c p_c. Multilabel: max over labels of the probability that this decision is wrong
    (p where 0 was predicted, 1 - p where 1 was).
    Range: [0, 1]. Computed from logit differences, so two sure rows don't tie at 0 before a gap of 745.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Hendrycks & Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples".

    Examples
    --------
    Probabilities 1/4 and 3/4: the prediction is wrong with 1/4.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> LeastConfidence().score(outputs).round(6).tolist()
    [0.25]

    """

    needs = ("logits",)
    bounds = (0.0, 1.0)
    scale = "logit"
    family = "softmax"
    reason = "low_margin"
    start = float("inf")

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            return np.asarray(decision_risks(outputs).max(axis=1))
        others = np.exp(gaps_to_best(outputs.logits)).sum(axis=1)
        return np.asarray(others / (1 + others))
