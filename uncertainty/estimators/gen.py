"""GEN: generalised entropy, which small probabilities weigh on more than in Shannon's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class GEN(Estimator):
    """Generalised entropy of the largest probabilities: a little mass on a few wrong classes already counts.

    Formula: Σ over the M largest p of p^γ (1 - p)^γ, γ = 0.1, M = min(c, 100). Multilabel: none.
    Range: [0, inf), 0 = sure, at most M^(1-2γ) (M - 1)^γ, where M classes share everything. Computed from logit
    differences, so sure rows don't tie at 0 before a gap of some 7,000.
    Needs: logits, of two classes at least.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Liu, Lochman & Zach 2023, "GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection".

    Examples
    --------
    Two classes at 1/2: 2 (1/4)^0.1 = 1.741101; and with γ = 1/2, 2 sqrt(1/4) = 1.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[2.0, 2.0]])
    >>> GEN().score(outputs).round(6).tolist(), GEN(gamma=0.5).score(outputs).round(6).tolist()
    ([1.741101], [1.0])

    """

    needs = ("logits",)
    bounds = (0.0, np.inf)
    tasks = ("multiclass",)
    scale = "log"
    family = "softmax"
    reason = "low_margin"
    default = False

    def __init__(self, gamma: float = 0.1, largest: int = 100) -> None:
        self.gamma = gamma
        self.largest = largest

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        gaps = np.sort(gaps_to_best(outputs.logits), axis=1)
        ln_others = np.logaddexp.reduce(gaps, axis=1)
        ln_best = -np.logaddexp(0, ln_others)
        ln_p = gaps[:, -max(1, self.largest - 1) :] + ln_best[:, None]
        others = np.exp(self.gamma * (ln_p + np.log1p(-np.exp(ln_p)))).sum(axis=1)
        return np.asarray(others + np.exp(self.gamma * (2 * ln_best + ln_others)))
