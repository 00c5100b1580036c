"""Energy: how little evidence the logits hold for any class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class Energy(Estimator):
    """Free energy of the logits: high where the network found little of anything it knows.

    Formula: -ln Σ_c exp(z_c). Multilabel: -Σ_c ln(1 + exp(z_c)).
    Range: (-inf, inf) (multilabel (-inf, 0]). It reads the size of the logits: constant for outputs made by
    `ModelOutputs.from_probs`.
    Needs: logits.
    Fit keeps: nothing.
    Cost: O(n c).
    Source: Liu et al. 2020, "Energy-based Out-of-distribution Detection"; multilabel Wang et al. 2021, "Can multi-label
    classification networks know what they don't know?".

    Examples
    --------
    Logits ln 1 and ln 3: -ln(1 + 3) = -1.386294.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> Energy().score(outputs).round(6).tolist()
    [-1.386294]

    """

    needs = ("logits",)
    bounds = (-np.inf, np.inf)
    family = "softmax"
    reason = "low_evidence"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        z = np.asarray(outputs.logits, dtype=np.float64)
        if outputs.task == "multilabel":
            return np.asarray(-np.logaddexp(0, z).sum(axis=1))
        best = z.max(axis=1)
        return np.asarray(-(best + np.log(np.exp(z - best[:, None]).sum(axis=1))))
