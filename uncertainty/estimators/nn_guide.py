"""NNGuide: the energy, guided by how like, and how sure, the nearest known-good images are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._features import features_like
from uncertainty.estimators.base import Estimator
from uncertainty.neighbors import normalised
from uncertainty.outputs import ModelOutputs

# Products are made in blocks of this many numbers, so that memory doesn't grow with the number of images.
_BLOCK_FLOATS = 1 << 23


class NNGuide(Estimator):
    """Negative evidence of the logits, times the similarity to known-good images weighted by their own evidence.

    Formula: -E(z) · mean of the k largest E(z_r) ⟨f/‖f‖, r/‖r‖⟩ over known-good images r, E(z) = ln Σ_c exp(z_c);
    all of them where there are fewer than k. Multilabel: the same with E(z) = Σ_c ln(1 + exp(z_c)).
    Range: (-inf, inf). It reads the size of the logits: constant for outputs made by `ModelOutputs.from_probs`, and
    where E(z) is negative its sign turns round, as in the paper.
    Needs: features and logits; reference rows with both.
    Fit keeps: `guides_` (m, d) float64, the vectors of length 1 times their evidence.
    Cost: O(n m d) by matrix products, 8 m d bytes.
    Source: Park, Jung & Teoh 2023, "Nearest Neighbor Guidance for Out-of-Distribution Detection" (k = 10).

    Examples
    --------
    Evidence ln(1 + 3) = ln 4 for all. (3, 4) has cosines 0.6 and 0.8 with the two, so -(ln 4)² 0.8 = -1.5374, and with
    both neighbours -(ln 4)² 0.7 = -1.3453.

    >>> z = [0.0, np.log(3.0)]
    >>> known = ModelOutputs(ids=["r", "s"], logits=[z, z], features=[[1.0, 0.0], [0.0, 1.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[z], features=[[3.0, 4.0]])
    >>> NNGuide(k=1).fit(known).score(new).round(4).tolist(), NNGuide(k=2).fit(known).score(new).round(4).tolist()
    ([-1.5374], [-1.3453])

    """

    needs = ("features", "logits")
    fit_needs = ("features", "logits")
    bounds = (-np.inf, np.inf)
    family = "neighbours"
    reason = "low_evidence"
    default = False

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def _fit(self, reference: ModelOutputs) -> None:
        self.guides_ = normalised(reference.features) * _evidence(reference)[:, None]

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if self.k < 1:
            raise InputError(f"k is {self.k}; the number of neighbours must be at least 1")
        x = normalised(features_like(outputs, self.guides_.shape[1])).astype(np.float64)
        size = max(1, _BLOCK_FLOATS // len(self.guides_))
        guidance = [self._guidance(x[start : start + size]) for start in range(0, len(x), size)]
        return np.asarray(-_evidence(outputs) * np.concatenate(guidance))

    def _guidance(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        products = x @ self.guides_.T
        k = min(self.k, products.shape[1])
        products.partition(products.shape[1] - k, axis=1)
        return np.asarray(np.sort(products[:, -k:], axis=1).mean(axis=1))


def _evidence(outputs: ModelOutputs) -> NDArray[np.float64]:
    z = np.asarray(outputs.logits, dtype=np.float64)
    if outputs.task == "multilabel":
        return np.asarray(np.logaddexp(0, z).sum(axis=1))
    return np.asarray(np.logaddexp.reduce(z, axis=1))
