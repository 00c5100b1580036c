"""Rel-U: which pairs of classes share the probability when the classifier is wrong?"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators._tuned import best_setting, held_out_folds
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs, probs_from_logits

Array = NDArray[np.float64]
# The first, with nothing learnt, is Gini impurity: what is learnt has to rank held-out errors better.
_SHARES = (0.0, 0.5, 0.3, 0.7, 0.15, 0.85)
_TEMPERATURES = (1.0, 1.5, 0.7, 2.0, 0.5, 3.0, 5.0)
_FOLDS = 5


class RelU(Estimator):
    """Relative uncertainty: probability shared by pairs of classes that share it when the classifier is wrong.

    Formula: pᵀ D p, p = softmax(z / T), D_ij = max(λ E[p_i p_j | wrong] - (1 - λ) E[p_i p_j | right], 0) for i ≠ j, 0
    for i = j, scaled to Frobenius norm 1; where nothing is above 0, all pairs are equal, which has the order of `gini`.
    λ (0 to 0.85; 0 is Gini) and T (0.5 to 5) are those with the lowest AURC of errors held out of D, by five folds of
    calibration. Multilabel: none, since labels do not share a probability.
    Range: [0, 1].
    Needs: logits of two classes at least; labelled calibration rows, 10 of them wrong.
    Fit keeps: `matrix_` (c, c), `temperature_`, `share_` (λ).
    Cost: fit 42 O(m c²), score O(n c²).
    Source: Dadalto et al. 2024, "A Data-Driven Measure of Relative Uncertainty for Misclassification Detection".

    Examples
    --------
    Probabilities 1/4 and 3/4, and the one pair that there is has weight 1/√2: 2 · 3/16 / √2.

    >>> pair = {"matrix_": np.array([[0, 1], [1, 0]]) / np.sqrt(2), "temperature_": 1.0, "share_": 0.5}
    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]])
    >>> RelU().restore(pair).score(outputs).round(4).tolist()
    [0.2652]

    """

    needs = ("logits",)
    fit_needs = ("logits",)
    learns_from = "calibration"
    bounds = (0.0, 1.0)
    tasks = ("multiclass",)
    scale = "log"
    family = "softmax"
    reason = "confusable_classes"
    default = False

    def _fit(self, rows: ModelOutputs) -> None:
        gaps_to_best(rows.logits[:1])
        wrong = rows.wrong
        fold = held_out_folds(np.asarray(rows.ids), wrong, _FOLDS)
        held_out = {
            setting: scores
            for temperature in _TEMPERATURES
            for setting, scores in _held_out_scores(rows, wrong, fold, temperature).items()
        }
        settings = list(product(_SHARES, _TEMPERATURES))
        self.share_, self.temperature_ = best_setting(settings, held_out.__getitem__, wrong)
        probs = _probs(rows, self.temperature_)
        self.matrix_ = _matrix(*_pairs(probs, wrong), self.share_)

    def note(self) -> str:
        """Say that it is Gini impurity, where it is."""
        return "" if self.share_ else "no pairs of classes rank held-out errors better than Gini, so it is that"

    def _score(self, outputs: ModelOutputs) -> Array:
        return _relative(_probs(outputs, float(self.temperature_)), self.matrix_)


def _held_out_scores(
    rows: ModelOutputs, wrong: NDArray[np.bool_], fold: NDArray[np.int64], temperature: float
) -> dict[tuple[float, float], Array]:
    """Return the scores of all rows for each (λ, T), each fold's by the matrix of the other folds."""
    probs = _probs(rows, temperature)
    scores = {(share, temperature): np.empty(len(probs)) for share in _SHARES}
    for k in range(_FOLDS):
        own = fold == k
        pairs = _pairs(probs[~own], wrong[~own])
        for (share, _), column in scores.items():
            column[own] = _relative(probs[own], _matrix(*pairs, share))
    return scores


def _probs(outputs: ModelOutputs, temperature: float) -> Array:
    return np.asarray(probs_from_logits(np.asarray(outputs.logits, dtype=np.float64) / temperature))


def _pairs(probs: Array, wrong: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return E[p pᵀ] (c, c) of wrong and of right rows."""
    of_wrong, of_right = (probs[rows].T @ probs[rows] / max(1, rows.sum()) for rows in (wrong, ~wrong))
    return of_wrong, of_right


def _matrix(of_wrong: Array, of_right: Array, share: float) -> Array:
    """Return D for λ = share."""
    matrix = np.maximum(share * of_wrong - (1 - share) * of_right, 0)
    np.fill_diagonal(matrix, 0)
    if not matrix.any():
        matrix = 1 - np.eye(len(matrix))
    return np.asarray(matrix / np.linalg.norm(matrix))


def _relative(probs: Array, matrix: Array) -> Array:
    return np.asarray(((probs @ matrix) * probs).sum(axis=1).clip(0, 1))
