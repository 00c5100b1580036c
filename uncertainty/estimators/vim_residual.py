"""The residual of ViM: the share of the features in directions that known-good images hardly use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._features import features_like
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

_MOST_DIMENSIONS = 1000


class ViMResidual(Estimator):
    """Share of a feature vector's length that lies outside the principal subspace of known-good features.

    This is the residual part of ViM alone: the virtual logit of the paper also takes the weights of the last layer and
    the energy, which these outputs do not hold (combine it with `energy` instead).
    Formula: ‖P⊥ (f - μ)‖ / ‖f - μ‖, μ the mean of known-good features, P⊥ the projection onto the complement of their
    leading principal components; without an argument min(d // 2, 1000) of them, and never more than their rank; 0
    where f = μ. Multilabel: the same.
    Range: [0, 1].
    Needs: features; reference rows with features.
    Fit keeps: `mean_` (d,), `complement_` (d, d - dimensions).
    Cost: fit O(m d² + d³), score O(n d²); 8 d² bytes at most.
    Source: Wang et al. 2022, "ViM: Out-Of-Distribution with Virtual-logit Matching" (Residual).

    Examples
    --------
    Known features vary along the first axis; (3, 4) is 3 along it and 4 beside it: 4 / 5.

    >>> known = ModelOutputs(ids=["r", "s"], logits=[[1.0, 0.0]] * 2, features=[[-1.0, 0.0], [1.0, 0.0]])
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]])
    >>> ViMResidual().fit(known).score(new).round(6).tolist()
    [0.8]

    """

    needs = ("features",)
    fit_needs = ("features",)
    bounds = (0.0, 1.0)
    scale = "log"
    family = "neighbours"
    reason = "far_from_known_good"
    default = False

    def __init__(self, dimensions: int | None = None) -> None:
        self.dimensions = dimensions

    def _fit(self, reference: ModelOutputs) -> None:
        x = np.asarray(reference.features, dtype=np.float64)
        self.mean_ = x.mean(axis=0)
        x = x - self.mean_
        variances, directions = np.linalg.eigh(x.T @ x / len(x))
        d = len(variances)
        # Beyond the rank every choice of directions is arbitrary.
        rank = int((variances > variances[-1] * d * np.finfo(np.float64).eps).sum())
        wanted = min(d // 2, _MOST_DIMENSIONS) if self.dimensions is None else self.dimensions
        self.complement_ = directions[:, : d - min(wanted, rank)]

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        x = features_like(outputs, len(self.mean_)) - self.mean_
        length = np.linalg.norm(x, axis=1)
        residual = np.linalg.norm(x @ self.complement_, axis=1)
        return np.asarray((residual / np.where(length > 0, length, 1)).clip(0, 1))
