"""How often the classifier was wrong about this class, and about these two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probabilities import gaps_to_best
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

_PRIOR = 10.0
"""How many rows of average error rate each class and each pair starts with."""


class ClassConfusability(Estimator):
    """Log-odds that calibration was wrong where this class was predicted, plus those of confusing its top two classes.

    Formula: logit r_ŷ + logit q_ab, ŷ the predicted class, a and b the two most probable ones, and C the confusion
    matrix of calibration, C_ij rows of class i predicted as j (a label of no known class is an error, but in no pair):
    r_j = (errors among rows predicted as j + 10 r) / (rows predicted as j + 10), r = (errors + ½) / (rows + 1);
    q_ab = (C_ab + C_ba + 10 q) / (C_aa + C_ab + C_ba + C_bb + 10), q = (C' + ½) / (C' + (c - 1) Σ_i C_ii + 1), C' all
    that lies beside the diagonal: the rate of all pairs together. So what was never seen has the usual rate.
    Multilabel: none, since no single class is predicted.
    Range: (-inf, inf).
    Needs: logits of two classes at least; labelled calibration rows, 10 of them wrong.
    Fit keeps: `of_class_` (c,) logit r_j, `right_` (c,) C_jj, `pairs_` (k,) codes a c + b, a < b, of the pairs that
    were confused, ascending, `confused_` (k,) how often, `usual_` q.
    Cost: fit O(m c), score O(n c).
    Source: Micci-Barreca 2001, "A Preprocessing Scheme for High-Cardinality Categorical Attributes", for rates that are
    shrunk to the usual one.

    Examples
    --------
    Class 1 is as often wrong as right (log-odds 0). Of 4 rows of classes 0 and 1 one was confused, and with 10 more of
    rate 1/10 it is 2 of 14: logit 1/7 = ln(1/6) = -1.7918.

    >>> learnt = {"of_class_": np.array([-1.0, 0.0]), "right_": np.array([2, 1]), "pairs_": np.array([1]),
    ...           "confused_": np.array([1]), "usual_": 0.1}
    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, 1.0]])
    >>> ClassConfusability().restore(learnt).score(outputs).round(4).tolist()
    [-1.7918]

    """

    needs = ("logits",)
    fit_needs = ("logits",)
    learns_from = "calibration"
    bounds = (-np.inf, np.inf)
    tasks = ("multiclass",)
    family = "softmax"
    reason = "confusable_classes"
    default = False

    def _fit(self, rows: ModelOutputs) -> None:
        c, wrong, predicted = rows.n_classes, rows.wrong, rows.predictions
        rate = (wrong.sum() + 0.5) / (len(rows) + 1)
        of_class = np.bincount(predicted[wrong], minlength=c) + _PRIOR * rate
        self.of_class_ = _logit(of_class / (np.bincount(predicted, minlength=c) + _PRIOR))
        self.right_ = np.bincount(predicted[~wrong], minlength=c)
        confused = wrong & (rows.labels >= 0)
        self.pairs_, self.confused_ = np.unique(
            _codes(rows.labels[confused], predicted[confused], c), return_counts=True
        )
        count = self.confused_.sum()
        self.usual_ = float((count + 0.5) / (count + (c - 1) * self.right_.sum() + 1))

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        gaps_to_best(outputs.logits[:1])
        first, second = outputs.predictions, _runners_up(outputs)
        confused = self._confusions(_codes(first, second, len(self.right_)))
        pairs = confused + self.right_[first] + self.right_[second]
        return np.asarray(self.of_class_[first] + _logit((confused + _PRIOR * self.usual_) / (pairs + _PRIOR)))

    def _confusions(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Look up how often each pair was confused: 0 where it never was."""
        places = np.searchsorted(self.pairs_, codes)
        found = np.append(self.pairs_, -1)[places] == codes
        return np.where(found, np.append(self.confused_, 0)[places], 0)


def _codes(one: NDArray[np.int64], other: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    return np.asarray(np.minimum(one, other) * classes + np.maximum(one, other))


def _runners_up(outputs: ModelOutputs) -> NDArray[np.int64]:
    others = np.array(outputs.logits, dtype=np.float64)
    others[np.arange(len(others)), outputs.predictions] = -np.inf
    return np.asarray(others.argmax(axis=1))


def _logit(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(rate) - np.log1p(-rate))
