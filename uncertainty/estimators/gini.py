"""Gini impurity of the predicted probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class Gini(Estimator):
    """Probability that two draws from the predicted distribution differ; ranks exactly as DOCTOR-α.

    Formula: 1 - Σ_c p_c². Multilabel: mean over labels of 2 p (1 - p).
    Range: [0, 1] (exactly 1 - 1/c; multilabel 1/2). Summed as Σ p_c (1 - p_c), where nothing cancels.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Granese et al. 2021, "DOCTOR: A Simple Method for Detecting Misclassification Errors"; Feng et al. 2020,
    "DeepGini: Prioritizing Massive Tests to Enhance the Robustness of Deep Neural Networks".

    Examples
    --------
    Probabilities 1/4 and 3/4: 1 - 1/16 - 9/16.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> Gini().score(outputs).round(6).tolist()
    [0.375]

    """

    needs = ("logits",)
    bounds = (0.0, 1.0)
    scale = "log"
    family = "softmax"
    reason = "low_margin"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            ratios = np.exp(-np.abs(np.asarray(outputs.logits, dtype=np.float64)))
            return np.asarray((2 * ratios / (1 + ratios) ** 2).mean(axis=1))
        ratios = np.exp(gaps_to_best(outputs.logits))
        others = ratios.sum(axis=1)
        total = 1 + others
        return np.asarray((others + (ratios * (total[:, None] - ratios)).sum(axis=1)) / total**2)
