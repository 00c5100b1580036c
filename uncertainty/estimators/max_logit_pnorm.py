"""Max logit over the p-norm: how far the largest logit stands out, whatever the size of the logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators._tuned import best_setting
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

_MAX_SOFTMAX = 0.0
_TUNED = (_MAX_SOFTMAX, *(float(p) for p in range(1, 10)))


class MaxLogitPNorm(Estimator):
    """Negative largest logit, after the logits of the row are centred and scaled to the p-norm that suits the errors.

    Formula: -max_c ž_c / ‖ž‖_p with ž = z - mean z, 0 where all logits are equal; p from 1 to 9 by the AURC of the
    errors in calibration. Where no p ranks them better than max softmax does, the score is its log-odds of being wrong,
    ln Σ_c≠ŷ exp(z_c - z_ŷ), of the same order as `least_confidence`: so always with two classes, of which the ratio is
    the same for every row, 2^(-1/p). Multilabel: none, since the logits of a row have no common zero.
    Range: [-1, 0], or for max softmax (-inf, ln(c - 1)].
    Needs: logits, of two classes at least; labelled calibration rows, 10 of them wrong.
    Fit keeps: `p_`, 0 for max softmax.
    Cost: fit 10 O(m c), score O(n c).
    Source: Cattelan & Silva 2024, "How to Fix a Broken Confidence Estimator"; p = 5 suited most of their networks.

    Examples
    --------
    Logits 4, 1, 1 are 2, -1, -1 when centred: their 1-norm is 4, and 2 / 4 = 0.5; as log-odds ln(2 e⁻³) = -2.3069.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[4.0, 1.0, 1.0]])
    >>> [MaxLogitPNorm().restore({"p_": p}).score(outputs).round(4).tolist() for p in (1.0, 0.0)]
    [[-0.5], [-2.3069]]

    """

    needs = ("logits",)
    fit_needs = ("logits",)
    learns_from = "calibration"
    bounds = (-np.inf, np.inf)
    tasks = ("multiclass",)
    family = "softmax"
    reason = "low_margin"
    default = False

    def __init__(self, p: float | None = None) -> None:
        self.p = p

    def _fit(self, rows: ModelOutputs) -> None:
        if self.p is not None and not self.p > 0:
            raise InputError(f"{self.name} has p = {self.p}; give a number above 0, such as 5, or none to tune it")
        tried = _TUNED if self.p is None else (self.p,)
        tried = (_MAX_SOFTMAX,) if rows.n_classes == 2 else tried
        self.p_ = float(best_setting(tried, lambda p: _scores(rows, p), rows.wrong))

    def note(self) -> str:
        """Say that it is max softmax, where it is."""
        return "" if self.p_ != _MAX_SOFTMAX else "no p ranks calibration errors better than max softmax, so it is that"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return _scores(outputs, float(self.p_))


def _scores(outputs: ModelOutputs, p: float) -> NDArray[np.float64]:
    gaps = gaps_to_best(outputs.logits)
    if p == _MAX_SOFTMAX:
        return np.asarray(gaps[:, -1] + np.log(np.exp(gaps - gaps[:, -1:]).sum(axis=1)))
    z = np.asarray(outputs.logits, dtype=np.float64)
    z = z - z.mean(axis=1, keepdims=True)
    largest = np.abs(z).max(axis=1, keepdims=True)
    z = z / np.where(largest > 0, largest, 1)  # first, so that no power over- or underflows
    norm = np.linalg.norm(z, ord=p, axis=1)
    return np.asarray((-z.max(axis=1) / np.where(norm > 0, norm, 1)).clip(-1, 0))
