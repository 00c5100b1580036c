"""Fused decisions: what several sources say of each label, weighed by what calibration labels say of them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._companions import companions, from_companions
from uncertainty.estimators._features import features_like
from uncertainty.estimators._known_good import KnownGoodRowsEstimator, right_rows
from uncertainty.estimators._label_discriminant import LabelDiscriminant, label_discriminant
from uncertainty.estimators._label_posterior import LabelFusion, label_fusion
from uncertainty.estimators._label_probes import label_probes
from uncertainty.estimators._label_vote import label_votes
from uncertainty.outputs import ModelOutputs

Array = NDArray[np.float64]
Source = Callable[[], Array]
_COLUMNS = ("features", "mc_probs", "tta_probs", "embedding")
_COMPARED = ("features", "embedding")
_SUREST = float(np.log(1e4))  # no source is surer than that: whoever is surely wrong must be outvoted by the others
# Multiplications in one pass of a probe over the reference, and numbers that the weights are learnt from, where labels
# are many: a source has one weight whatever their number.
_PROBE_WORK, _NUMBERS = 5e8, 2e7
_LARGEST_SUM = 600.0


class FusedDecisions(KnownGoodRowsEstimator):
    """Log-odds that some decision is wrong, were decisions independent, each judged by one posterior fused from all.

    Formula: log(exp Σ_c log(1 + exp q_c) - 1), q_c the log-odds that the decision on label c is wrong: g_c where it
    says 0, -g_c where it says 1. g_c = Σ_s w_s l_s(c) + v Σ_{j ≠ c} p_j + b_c are log-odds that c is carried. Sources
    l_s, within ±log 1e4: the logit; that of the mean over the dropout sub-networks; over the views; the vote of the k
    nearest known-good rows that carry c against those that lack it, on the embedding or, without one, the features;
    the company, Σ_j of log P(j | c) / P(j | not c) of the other labels j, as probable as the classifier finds each (p);
    on features and embedding linear discriminants of label sets, the others carried as p says (see label_mahalanobis);
    on the embedding three logistic probes (ridges 1e-3, 1e-4, 1e-5) that learn from all reference rows. w >= 0 and v,
    shared by all labels, and b minimise the log loss of the answers that are known in calibration + ½ ‖w - w0‖² + ½ v²
    + 5 ‖b‖², w0 = 1 for the logit and 0 elsewhere. Every answer teaches, not only those of errors, and a rare label has
    the weights of all. Multilabel: as above; multiclass: none.
    Range: all numbers.
    Needs: logits; features, mc_probs, tta_probs and embedding are used where calibration (and the reference, of what it
    is compared with) has them. Labelled calibration rows, and the reference, whose labels are what is predicted where
    it has none.
    Fit keeps: `index_` as nn_distance does, and `carried_` (m, c) of its rows; `present_` (4,) which further columns;
    `companions_` (2, c, c); of the columns that are compared `features_lines_` (c, d), `features_origins_` (c,) and
    `features_gram_` (c, c), the same of the embedding; `lines_` (l, c, e) and `intercepts_` (l, c) of the probes;
    `weights_` (s,), `company_` v, `bias_` (c,).
    Cost: fit some 200 passes of O(m c e) and O(m (d² + e²)), score O(n c (d + e + c)) and a search.
    Source: as fused_posterior, one logarithmic pool a label; Zhang & Zhou 2007, "ML-KNN", for votes on labels.

    Examples
    --------
    The logit alone counts: probabilities 3/4 for a label that is said to be there and 1/4 for one that is not have
    log-odds log(1/3) of an error each, and 1 - (3/4)² = 7/16 is the chance of one at least: odds of 7/9.

    >>> learnt = {"present_": np.zeros(4, dtype=int), "companions_": np.zeros((2, 2, 2)), "lines_": np.empty((0, 2, 1))}
    >>> learnt |= {"intercepts_": np.empty((0, 2)), "weights_": np.array([1.0, 0.0]), "company_": 0.0}
    >>> learnt |= {"bias_": np.zeros(2)}
    >>> alone = FusedDecisions().restore(learnt)
    >>> new = ModelOutputs(ids=["a"], logits=[[np.log(3.0), -np.log(3.0)]], task="multilabel")
    >>> alone.decision_log_odds(new).round(4).tolist(), np.exp(alone.score(new)).round(4).tolist() == [round(7 / 9, 4)]
    ([[-1.0986, -1.0986]], True)

    """

    needs = ("logits",)
    fit_needs = ("logits",)
    reference_needs = ("logits",)
    learns_from = "calibration"
    fewest = 0
    bounds = (-np.inf, np.inf)
    tasks = ("multilabel",)
    family = "softmax"
    reason = "decision_in_doubt"
    posterior = True
    start = 0.25

    present_: NDArray[np.int64]
    carried_: NDArray[np.int8]
    companions_: Array
    lines_: Array
    intercepts_: Array
    weights_: Array
    company_: float
    bias_: Array

    def __init__(self, k: int = 20, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    @property
    def column(self) -> str:  # type: ignore[override]  # which one is known with the rows alone
        """Which vectors are compared: the embedding where there is one, else the features."""
        return "embedding" if self._has("embedding") else "features"

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that `score` reads: what is needed, and what calibration had beside it."""
        return (*self.needs, *(name for name in _COLUMNS if self._has(name)))

    def _has(self, column: str) -> bool:
        present = vars(self).get("present_", np.zeros(len(_COLUMNS)))
        return bool(present[_COLUMNS.index(column)])

    def decision_log_odds(self, outputs: ModelOutputs) -> Array:
        """Return (n, c) the log-odds that each decision is wrong; MissingColumnError without a column of `reads`."""
        for column in self.reads:
            outputs.require(column, self.name)
        g = self.label_log_odds(outputs)
        return np.where(outputs.predictions == 1, -g, g)

    def label_log_odds(self, outputs: ModelOutputs) -> Array:
        """Return (n, c) the log-odds that each label is carried, by all sources."""
        return LabelFusion(self.weights_, self.company_, self.bias_)(self._inputs(outputs), _company(outputs))

    def neighbours_that_carry(
        self, outputs: ModelOutputs, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many of the k nearest known-good rows carry one label of each row (n,), and of how many one knows.

        None of none where there is nothing to compare.
        """
        if not self._searches:
            return np.zeros(len(outputs), dtype=np.int64), np.zeros(len(outputs), dtype=np.int64)
        _, rows = self.index_.nearest(getattr(outputs, self.column), self.k)
        carried = self.carried_[rows, labels[:, None]]
        return (carried == 1).sum(axis=1), (carried >= 0).sum(axis=1)

    def fit_without(self, calibration: ModelOutputs, folds: NDArray[np.int64]) -> tuple[Self, ...]:
        """Return it with the weights that are learnt without each fold; the sources read no calibration labels."""
        order = np.argsort(calibration.ids, kind="stable")
        rows, fold = calibration.take(order), folds[order]
        inputs = self._inputs(rows)
        return tuple(copy(self)._with_weights(inputs, rows, fold != k) for k in range(int(folds.max()) + 1))

    def rows_added(self, rows: ModelOutputs) -> None:
        """Learn which labels more known-good rows carry, behind those that there are."""
        self.carried_ = np.concatenate([self.carried_, _answers(rows).astype(np.int8)])

    def rows_removed(self, rows: NDArray[np.int64]) -> None:
        """Forget the known-good rows at these positions."""
        self.carried_ = np.delete(self.carried_, rows, axis=0)

    def _fit_both(self, rows: ModelOutputs, reference: ModelOutputs) -> None:
        compared = [name not in _COMPARED or reference.has(name) for name in _COLUMNS]
        self.present_ = np.array(
            [int(rows.has(name) and known) for name, known in zip(_COLUMNS, compared, strict=True)]
        )
        good = right_rows(reference)
        if self._searches:
            self._fit(good)
            self.carried_ = _answers(good).astype(np.int8)
        known = reference.take(np.argsort(reference.ids, kind="stable"))  # so that no sum depends on their order
        self.companions_ = companions(_answers(known))
        for column in filter(self._has, _COMPARED):
            learnt = vars(label_discriminant(reference, column))
            vars(self).update({f"{column}_{name}_": value for name, value in learnt.items()})
        self._fit_probes(known)
        rows = rows.take(np.argsort(rows.ids, kind="stable"))
        self._with_weights(self._inputs(rows), rows, np.ones(len(rows), dtype=bool))

    @property
    def _searches(self) -> bool:
        return self._has("embedding") or self._has("features")

    def _fit_probes(self, known: ModelOutputs) -> None:
        c = known.n_classes
        self.lines_, self.intercepts_ = np.empty((0, c, 1)), np.empty((0, c))
        if self._has("embedding"):
            x = np.asarray(known.embedding, dtype=np.float64)
            chosen = np.random.default_rng(0).permutation(len(x))[: int(_PROBE_WORK / (x.shape[1] * c))]
            self.lines_, self.intercepts_ = label_probes(x[chosen], _answers(known)[chosen])

    def _inputs(self, rows: ModelOutputs) -> Array:
        """Return log-odds (n, c, s) of all sources."""
        return np.stack([np.clip(source(), -_SUREST, _SUREST) for source in self._sources(rows)], axis=2)

    def _sources(self, outputs: ModelOutputs) -> list[Source]:
        """Return how to compute the log-odds (n, c) of each source."""
        found: list[Source] = [lambda: np.asarray(outputs.logits, dtype=np.float64)]
        found += [partial(_log_odds_of_mean, getattr(outputs, name)) for name in _COLUMNS[1:3] if self._has(name)]
        if self._searches:
            queries = getattr(outputs, self.column)
            found.append(lambda: _log_odds(label_votes(self.index_, self.carried_, queries, self.k)))
        found.append(lambda: from_companions(self.companions_, outputs.probs))
        found += [partial(self._discriminated, outputs, column) for column in filter(self._has, _COMPARED)]
        return found + [partial(self._line, outputs, k) for k in range(len(self.lines_))]

    def _discriminated(self, outputs: ModelOutputs, column: str) -> Array:
        own = vars(self)
        judge = LabelDiscriminant(*(own[f"{column}_{name}_"] for name in ("lines", "origins", "gram")))
        return judge(features_like(outputs, judge.lines.shape[1], column), outputs.probs)

    def _line(self, outputs: ModelOutputs, k: int) -> Array:
        x = features_like(outputs, self.lines_.shape[2], "embedding")
        return np.asarray(x @ self.lines_[k].T + self.intercepts_[k])

    def _with_weights(self, inputs: Array, rows: ModelOutputs, used: NDArray[np.bool_]) -> Self:
        most = max(1, int(_NUMBERS / (inputs.shape[1] * inputs.shape[2])))
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(used))[:most]
        fit = label_fusion(inputs[chosen], _company(rows)[chosen], rows.labels[chosen])
        self.weights_, self.company_, self.bias_ = fit.weights, fit.company, fit.bias
        return self

    def _score(self, outputs: ModelOutputs) -> Array:
        return some_wrong(self.decision_log_odds(outputs))


def some_wrong(log_odds: Array) -> Array:
    """Return (n,) the log-odds that some of c independent events happen, from the log-odds (n, c) of each.

    >>> some_wrong(np.array([[0.0, 0.0]])).round(4).tolist() == [round(float(np.log(3)), 4)]
    True
    """
    none = np.logaddexp(0, log_odds).sum(axis=1)  # minus the log of the chance that none does
    small = np.minimum(none, _LARGEST_SUM)
    return np.asarray(np.where(none > _LARGEST_SUM, none, np.log(np.expm1(small))))


def _company(outputs: ModelOutputs) -> Array:
    """Return (n, c) how many other labels the classifier expects beside each."""
    probs = outputs.probs
    return np.asarray(probs.sum(axis=1, keepdims=True) - probs)


def _answers(rows: ModelOutputs) -> NDArray[Any]:
    return rows.labels if rows.has("labels") else rows.predictions


def _log_odds_of_mean(probs: Any) -> Array:
    return _log_odds(probs.mean(axis=1, dtype=np.float64))


def _log_odds(p: Array) -> Array:
    p = np.clip(p, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(p) - np.log1p(-p))
