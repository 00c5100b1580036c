"""Logit gap: how near the runner-up comes to the predicted class, in logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class LogitGap(Estimator):
    """Negative distance, in logits, between the predicted class and the runner-up.

    Formula: -(z_(1) - z_(2)). Multilabel: the least sure decision, -min over labels of |z_c - logit(t_c)| with the
    decision thresholds t_c.
    Range: (-inf, 0], 0 = a tie. Unlike a probability it never saturates.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Liang et al. 2024, "Selective Classification under Distribution Shifts" (RL_conf-M).

    Examples
    --------
    The logits 5 and 2 lead the field by 3.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[5.0, -1.0, 2.0]])
    >>> LogitGap().score(outputs).tolist()
    [-3.0]

    """

    needs = ("logits",)
    bounds = (-np.inf, 0.0)
    family = "softmax"
    reason = "low_margin"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            t = outputs.decision_thresholds
            return np.asarray(-np.abs(outputs.logits - (np.log(t) - np.log1p(-t))).min(axis=1))
        return gaps_to_best(outputs.logits)[:, -1]
