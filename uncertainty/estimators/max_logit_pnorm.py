"""Max logit over the p-norm: how far the largest logit stands out, whatever the size of the logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class MaxLogitPNorm(Estimator):
    """Negative largest logit, after the logits of the row are centred and scaled to p-norm 1.

    Formula: -max_c ž_c / ‖ž‖_p with ž = z - mean z, 0 where all logits are equal. Of two classes the ratio is the same
    for every row, 2^(-1/p), and says nothing; there the score is -g / (1 + g), g the logit gap, which has the order of
    `logit_gap`. Multilabel: none, since the logits of a row have no common zero.
    Range: [-1, 0]. p is 5, which suits most networks; the paper chooses it from 1 to 9 on held-out errors.
    Needs: logits, of two classes at least.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Cattelan & Silva 2024, "How to Fix a Broken Confidence Estimator".

    Examples
    --------
    Logits 4, 1, 1 are 2, -1, -1 when centred: their 1-norm is 4, and 2 / 4 = 0.5.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[4.0, 1.0, 1.0]])
    >>> MaxLogitPNorm(p=1).score(outputs).tolist()
    [-0.5]

    """

    needs = ("logits",)
    bounds = (-1.0, 0.0)
    tasks = ("multiclass",)
    family = "softmax"
    reason = "low_margin"
    default = False

    def __init__(self, p: float = 5.0) -> None:
        self.p = p

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if not self.p > 0:
            raise InputError(f"{self.name} has p = {self.p}; give a number above 0, such as 5")
        gaps = gaps_to_best(outputs.logits)
        if outputs.n_classes == 2:
            return np.asarray(gaps[:, 0] / (1 - gaps[:, 0]))
        z = np.asarray(outputs.logits, dtype=np.float64)
        z = z - z.mean(axis=1, keepdims=True)
        largest = np.abs(z).max(axis=1, keepdims=True)
        z = z / np.where(largest > 0, largest, 1)  # first, so that no power over- or underflows
        norm = np.linalg.norm(z, ord=self.p, axis=1)
        return np.asarray((-z.max(axis=1) / np.where(norm > 0, norm, 1)).clip(-1, 0))
