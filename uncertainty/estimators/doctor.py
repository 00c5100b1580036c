"""DOCTOR-α: how probable two different draws are against two equal ones, at a temperature that suits the errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators._tuned import best_setting
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

# From 1 outwards: of temperatures that rank the errors equally well, the first is taken.
_TEMPERATURES = (1.0, 1.25, 0.8, 1.5, 0.65, 2.0, 0.5, 2.5, 0.4, 3.0, 4.0, 6.0, 10.0)


class Doctor(Estimator):
    """Odds that two draws from the softmax at a tuned temperature differ: DOCTOR's D_α.

    Formula: (1 - g) / g with g = Σ_c p_c², p = softmax(z / T). At T = 1 it has the order of `gini`, so all that is new
    is T, chosen from 0.4 to 10 by the AURC of the errors in calibration. Multilabel: the mean over labels of the same
    with the probabilities p and 1 - p of each label.
    Range: [0, inf) (exactly c - 1).
    Needs: logits; labelled calibration rows, 10 of them wrong.
    Fit keeps: `temperature_`.
    Cost: fit 13 O(m c), score O(n c).
    Source: Granese et al. 2021, "DOCTOR: A Simple Method for Detecting Misclassification Errors".

    Examples
    --------
    At T = 2 logits 0 and 2 ln 3 give probabilities 1/4 and 3/4: g = 10/16, and (6/16) / (10/16) = 0.6.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, 2 * np.log(3.0)]])
    >>> Doctor().restore({"temperature_": 2.0}).score(outputs).round(6).tolist()
    [0.6]

    """

    needs = ("logits",)
    fit_needs = ("logits",)
    learns_from = "calibration"
    bounds = (0.0, np.inf)
    scale = "log"
    family = "softmax"
    reason = "low_margin"
    default = False

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature

    def _fit(self, rows: ModelOutputs) -> None:
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise InputError(
                f"{self.name} has temperature {self.temperature}; give a number above 0, or none to tune it"
            )
        tried = _TEMPERATURES if self.temperature is None else (self.temperature,)
        self.temperature_ = best_setting(tried, lambda t: _odds(rows, t), rows.wrong)

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return _odds(outputs, float(self.temperature_))


def _odds(outputs: ModelOutputs, temperature: float) -> NDArray[np.float64]:
    """(1 - g) / g from ratios to the largest probability, so that nothing cancels where a class is all but sure."""
    if outputs.task == "multilabel":
        ratios = np.exp(-np.abs(np.asarray(outputs.logits, dtype=np.float64)) / temperature)
        return np.asarray((2 * ratios / (1 + ratios**2)).mean(axis=1))
    ratios = np.exp(gaps_to_best(outputs.logits) / temperature)
    others = ratios.sum(axis=1)
    different = others + (ratios * (1 + others[:, None] - ratios)).sum(axis=1)
    return np.asarray(different / (1 + (ratios**2).sum(axis=1)))
