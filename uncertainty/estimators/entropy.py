"""Entropy of the predicted probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class Entropy(Estimator):
    """Entropy of the predicted distribution, in nats.

    Formula: -Σ_c p_c ln p_c. Multilabel: mean over labels of the binary entropy -p ln p - (1 - p) ln(1 - p).
    Range: [0, ln c] (multilabel [0, ln 2]). Written as ln(1 + s) + Σ r_j g_j / (1 + s) with the logit gaps g_j of the
    other classes, r_j = exp(-g_j) and s = Σ r_j: two terms >= 0, so nothing cancels and nothing is 0 · ln 0.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Shannon 1948, "A Mathematical Theory of Communication"; as a query strategy Settles 2009,
    "Active Learning Literature Survey".

    Examples
    --------
    Probabilities 1/4 and 3/4: 1/4 ln 4 + 3/4 ln 4/3 = 0.562335.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> Entropy().score(outputs).round(6).tolist()
    [0.562335]

    """

    needs = ("logits",)
    bounds = (0.0, np.inf)
    scale = "log"
    family = "softmax"
    reason = "low_margin"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            gaps = -np.abs(np.asarray(outputs.logits, dtype=np.float64))[:, :, None]
            return np.asarray(_entropy(gaps).mean(axis=1))
        return _entropy(gaps_to_best(outputs.logits))


def _entropy(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    ratios = np.exp(gaps)
    others = ratios.sum(axis=-1)
    return np.asarray(np.log1p(others) - (ratios * gaps).sum(axis=-1) / (1 + others))
