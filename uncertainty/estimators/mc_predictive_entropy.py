"""Predictive entropy under Monte Carlo dropout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import entropies
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class MCPredictiveEntropy(Estimator):
    """Entropy, in nats, of the mean prediction of t dropout sub-networks.

    Formula: H(p̄) = -Σ_c p̄_c ln p̄_c with p̄ = mean_t p_t. Multilabel: mean over labels of the binary entropy of p̄_c.
    Range: [0, ln c] (multilabel [0, ln 2]).
    Needs: mc_probs.
    Fit keeps: nothing.
    Cost: O(n t c), and t passes of the network (fewer layers where only the head has dropout).
    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian Approximation: Representing Model Uncertainty
    in Deep Learning".

    Examples
    --------
    Two sub-networks say (1, 0) and (1/2, 1/2), on average (3/4, 1/4): 3/4 ln 4/3 + 1/4 ln 4 = 0.562335.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], mc_probs=[[[1.0, 0.0], [0.5, 0.5]]])
    >>> MCPredictiveEntropy().score(outputs).round(6).tolist()
    [0.562335]

    """

    needs = ("mc_probs",)
    bounds = (0.0, np.inf)
    scale = "log"
    family = "dropout"
    reason = "unstable_under_dropout"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return entropies(outputs.mc_probs.mean(axis=1, dtype=np.float64), outputs.task)
