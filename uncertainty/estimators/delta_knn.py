"""Δ-kNN: nearer to images that the classifier got wrong than to those that it got right?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators.base import Estimator
from uncertainty.neighbors import LARGEST_DISTANCE, NeighborIndex, normalised
from uncertainty.outputs import ModelOutputs

# The authors' addend to squared distances: copies of a known image are near, but not infinitely near.
_NEAR = 1e-6
_LARGEST = math.log(LARGEST_DISTANCE**2 / _NEAR + 1) / 2


class DeltaKNN(Estimator):
    """Log distance to calibration images that the classifier got right, minus that to those it got wrong.

    Formula: mean over the k nearest right rows r of ln d(f, r) - mean over the k nearest wrong rows w of ln d(f, w),
    d(f, r) = √(‖f/‖f‖ - r/‖r‖‖² + 10⁻⁶), k = min(25, number of wrong rows, number of right rows): an estimate of the
    log-ratio of the densities of errors and of correct images. Multilabel: the same, a row is wrong with any decision.
    Range: [-7.61, 7.61] (½ ln(4·10⁶ + 1)).
    Needs: features; labelled calibration rows with features, 10 of them wrong.
    Fit keeps: `right_` (m, d) and `wrong_` (w, d) float32 of length 1, `k_`.
    Cost: O(n m d) by exact search, 4 m d bytes, m the number of calibration images.
    Source: Heng & Soh 2025, "Know When to Abstain: Optimal Selective Classification with Likelihood Ratios" (Δ-KNN).

    Examples
    --------
    The direction (0.6, 0.8) is √0.8 from the right (1, 0) and √0.4 from the wrong (0, 1): ½ ln 0.8 - ½ ln 0.4 = ½ ln 2.

    >>> banks = {"right_": np.float32([[1, 0]]), "wrong_": np.float32([[0, 1]]), "k_": 1}
    >>> new = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]])
    >>> DeltaKNN().restore(banks).score(new).round(4).tolist()
    [0.3466]

    """

    needs = ("features",)
    fit_needs = ("features",)
    learns_from = "calibration"
    bounds = (-_LARGEST, _LARGEST)
    family = "neighbours"
    reason = "like_known_errors"
    default = False

    def __init__(self, k: int = 25) -> None:
        self.k = k

    def _fit(self, rows: ModelOutputs) -> None:
        if self.k < 1:
            raise InputError(f"k is {self.k}; the number of neighbours must be at least 1")
        vectors, wrong = normalised(rows.features), rows.wrong
        self.right_, self.wrong_ = vectors[~wrong], vectors[wrong]
        self.k_ = min(self.k, len(self.right_), len(self.wrong_))

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return self._log_distance(outputs, self.right_) - self._log_distance(outputs, self.wrong_)

    def _log_distance(self, outputs: ModelOutputs, bank: NDArray[np.float32]) -> NDArray[np.float64]:
        index = NeighborIndex(bank, np.zeros(len(bank), dtype=np.int64))
        distances = index.search(outputs.features, int(self.k_))
        return np.asarray(np.log(distances**2 + _NEAR).mean(axis=1) / 2)
