"""One posterior over the classes, fused from several sources: what estimators that learn it from labels share."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._covariance import principal_axes
from uncertainty.estimators._discriminant import discriminant
from uncertainty.estimators._features import features_like
from uncertainty.estimators._known_good import KnownGoodEstimator, known_classes, right_rows
from uncertainty.estimators._posterior import best_ridge, fused
from uncertainty.estimators._probes import probes
from uncertainty.estimators._vote import votes
from uncertainty.outputs import UNKNOWN_CLASS, ModelOutputs

Array = NDArray[np.float64]
_FURTHER = ("features", "mc_probs", "tta_probs")
_SMALLEST = 1e-4  # no source is surer than that: whoever is surely wrong must be outvoted by the others
_FURTHEST = 6.0
_FEWEST_USUAL = 20  # calibration rows that tell what distance is usual
_ENDLESS = float(np.finfo(np.float64).max)  # a screener on disk holds finite numbers alone
_ROWS_A_CLASS = 10  # calibration rows from which on B is learnt
# Multiplications in one pass of a probe over the reference, and numbers that the weights are learnt from: where classes
# are many, fewer rows serve, since a source has one weight whatever the number of classes.
_PROBE_WORK, _FEWEST_PROBED = 5e8, 20
_NUMBERS, _NUMBERS_OF_B = 2e7, 3e5


class LabelFusion(KnownGoodEstimator):
    """Weighs several sources by what calibration labels say of them; the formula is that of `fused_posterior`.

    `column` is the space of neighbours, discriminant, probes and directions.
    """

    learns_from = "calibration"
    fewest = 0
    bounds = (-np.inf, np.inf)
    tasks = ("multiclass",)
    axes: ClassVar[int] = 64
    """How many principal components φ has of each column."""
    far: ClassVar[float] = 2.5
    """Spreads of calibration's distances beyond their median from which on what was learnt there fades."""
    fading: ClassVar[float] = 2.0
    """How fast it fades, by spread."""

    present_: NDArray[np.int64]
    seen_: NDArray[np.int64]
    lines_: Array
    intercepts_: Array
    mean_: Array
    axes_: Array
    feature_mean_: Array
    feature_axes_: Array
    ridge_: float
    weights_: Array
    bias_: Array
    directions_: Array
    usual_: Array

    def __init__(self, k: int = 20, approximate: bool | None = None) -> None:
        self.k, self.approximate = k, approximate

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that `score` reads: what is needed, and what calibration had beside it."""
        present = vars(self).get("present_", np.zeros(3))
        return (*self.needs, *(name for name, on in zip(_FURTHER, present, strict=True) if on))

    def posterior_logs(self, outputs: ModelOutputs) -> Array:
        """Return g (n, c), the log of a posterior over the classes up to a constant of each row; see `score`."""
        g, directed = self._beside_sources(outputs)
        for weight, (_, source) in zip(self.weights_, self._sources(outputs), strict=True):
            if weight:
                g += weight * source()
        return np.asarray(g + directed)

    def reasons(self, outputs: ModelOutputs) -> NDArray[np.str_]:
        """Return (n,): the kind of source that speaks most for the likeliest other class against the predicted one.

        Where none calls that class likelier than the predicted one, doubt is all that there is: `low_margin`.
        """
        if not len(outputs):
            return np.empty(0, dtype="<U1")
        rows, predicted = np.arange(len(outputs)), outputs.predictions
        heard = self._heard(outputs)
        others = np.asarray(sum(heard.values(), start=sum(self._beside_sources(outputs))))
        others[rows, predicted] = -np.inf
        other = others.argmax(axis=1)
        gains = np.stack([logs[rows, other] - logs[rows, predicted] for logs in heard.values()])
        return np.where(gains.max(axis=0) > 0, np.array(list(heard))[gains.argmax(axis=0)], "low_margin")

    def voices(self, outputs: ModelOutputs) -> list[dict[str, int]]:
        """Return for each row the likeliest class by each kind of source that counts, under its word in a reason."""
        heard = self._heard(outputs).items()
        rows = range(len(outputs))
        return [{word: int(logs[row].argmax()) for word, logs in heard if logs[row].any()} for row in rows]

    def _beside_sources(self, outputs: ModelOutputs) -> tuple[Array, Array | float]:
        """Return what no source says: b (n, c), which fades, and B φ (n, c), 0 without directions."""
        directed = self._phi(outputs) @ self.directions_.T if self.directions_.size else 0.0
        return self._support(outputs)[:, None] * self.bias_, directed

    def _heard(self, outputs: ModelOutputs) -> dict[str, Array]:
        """Return Σ w log p (n, c) of the sources of each kind."""
        heard: dict[str, Array] = {}
        for weight, (word, source) in zip(self.weights_, self._sources(outputs), strict=True):
            heard.setdefault(word, np.zeros((len(outputs), outputs.n_classes)))
            if weight:
                heard[word] += weight * source()
        return heard

    def fit_without(self, calibration: ModelOutputs, folds: NDArray[np.int64]) -> tuple[Self, ...]:
        """Return it with the weights that are learnt without each fold; the sources read no calibration labels."""
        rows = self._teaching(calibration)
        logs, phi = self._inputs(rows)
        fold = dict(zip(map(str, calibration.ids), folds.tolist(), strict=True))
        own = np.array([fold[str(name)] for name in rows.ids], dtype=np.int64)
        return tuple(copy(self)._with_weights(logs, phi, rows.labels, own != k) for k in range(folds.max() + 1))

    def _fit_both(self, rows: ModelOutputs, reference: ModelOutputs) -> None:
        self._fit(right_rows(reference))
        known = _labelled(reference)
        views = rows.tta_probs.shape[1] if rows.has("tta_probs") else 0
        both = self.column != "features" and rows.has("features") and known.has("features")
        self.present_ = np.array([int(both), int(rows.has("mc_probs")), min(views, 2)])
        self._fit_lines(known)
        rows = self._teaching(rows)
        self.usual_ = self._usual(rows)
        self._fit_axes(known, rows)
        logs, phi = self._inputs(rows)
        self.ridge_ = best_ridge(logs, phi, rows.labels, np.arange(len(rows)) % 5)
        if not self.ridge_:
            self.axes_, self.feature_axes_ = self.axes_[:0], self.feature_axes_[:0]
        self._with_weights(logs, phi, rows.labels, np.ones(len(rows), dtype=bool))

    def _teaching(self, calibration: ModelOutputs) -> ModelOutputs:
        """Return the rows that the weights are learnt from."""
        rows = _labelled(calibration)
        most = int(_NUMBERS / (rows.n_classes * len(self._sources(rows))))
        return rows if len(rows) <= most else rows.take(np.random.default_rng(0).permutation(len(rows))[:most])

    def _fit_lines(self, known: ModelOutputs) -> None:
        """Learn discriminant and probes, each linear in the embedding; with a single class there are none."""
        x, labels = np.asarray(getattr(known, self.column), dtype=np.float64), known_classes(known)
        self.seen_, positions = np.unique(labels, return_inverse=True)
        classes = len(self.seen_)
        self.lines_, self.intercepts_ = np.empty((0, classes, x.shape[1])), np.empty((0, classes))
        if classes < 2:
            return
        weights, intercepts = discriminant(x, positions)
        self.lines_, self.intercepts_ = weights[None], intercepts[None]
        most = int(_PROBE_WORK / (x.shape[1] * classes))
        chosen = np.random.default_rng(0).permutation(len(x))[:most]
        if len(chosen) >= min(len(x), _FEWEST_PROBED * classes) and len(np.unique(positions[chosen])) == classes:
            weights, intercepts = probes(x[chosen], positions[chosen], classes)
            self.lines_ = np.concatenate([self.lines_, weights])
            self.intercepts_ = np.concatenate([self.intercepts_, intercepts])

    def _fit_axes(self, known: ModelOutputs, rows: ModelOutputs) -> None:
        """Keep no axes where calibration has too few rows to learn directions from, or too many classes."""
        n, c = len(rows), rows.n_classes
        wanted = self.axes if n >= _ROWS_A_CLASS * c and n * c <= _NUMBERS_OF_B else 0
        self.mean_, self.axes_ = principal_axes(np.asarray(getattr(known, self.column), dtype=np.float64), wanted)
        features = known.features if self.present_[0] else np.empty((len(known), 0))
        self.feature_mean_, self.feature_axes_ = principal_axes(np.asarray(features, dtype=np.float64), wanted)

    def _usual(self, rows: ModelOutputs) -> Array:
        """Return median and spread of the log distance of calibration rows; of few rows the spread has no end."""
        if len(rows) < _FEWEST_USUAL:
            return np.array([0.0, _ENDLESS])
        low, middle, high = np.quantile(self._log_distance(rows), (0.1, 0.5, 0.9))
        return np.array([middle, max((high - low) / 2.5631, 1e-6)])  # 2.5631 deviations of a normal distribution

    def _log_distance(self, outputs: ModelOutputs) -> Array:
        return np.asarray(np.log(np.maximum(self.index_.search(getattr(outputs, self.column), self.k)[:, -1], 1e-12)))

    def _support(self, outputs: ModelOutputs) -> Array:
        """Return (n,) in [0, 1]: 1 where known-good rows are about as near as to calibration rows, less far away."""
        middle, spread = self.usual_
        if spread >= _ENDLESS or not len(outputs):
            return np.ones(len(outputs))
        beyond = (self._log_distance(outputs) - middle) / spread - self.far
        return np.asarray(np.exp(-self.fading * np.maximum(beyond, 0)))

    def _inputs(self, rows: ModelOutputs) -> tuple[Array, Array]:
        """Return log-probabilities (n, c, s) of all sources, and φ (n, q)."""
        if not len(rows):
            return np.empty((0, rows.n_classes, len(self._sources(rows)))), np.empty((0, self._directions))
        return np.stack([source() for _, source in self._sources(rows)], axis=2), self._phi(rows)

    @property
    def _directions(self) -> int:
        return len(self.axes_) + len(self.feature_axes_)

    def _sources(self, outputs: ModelOutputs) -> list[tuple[str, Callable[[], Array]]]:
        """Return what each source is in a reason, and how to compute its log-probabilities (n, c)."""
        _, dropout, views = (int(count) for count in self.present_)
        found: list[tuple[str, Callable[[], Array]]] = [("low_margin", lambda: _floored(_log_softmax(outputs.logits)))]
        if dropout:
            found.append(("unstable_under_dropout", lambda: _log_mean(outputs.mc_probs)))
        if views:
            found.append(("unstable_under_augmentation", lambda: _log_mean(outputs.tta_probs)))
        if views > 1:
            found.append(("unstable_under_augmentation", lambda: _log_mean(outputs.tta_probs[:, :1])))
        x = getattr(outputs, self.column)
        found.append((self.reason, lambda: np.log(votes(self.index_, x, self.k, outputs.n_classes))))
        found += [(self.reason, partial(self._line, outputs, k)) for k in range(len(self.lines_))]
        return found

    def _line(self, outputs: ModelOutputs, k: int) -> Array:
        x = features_like(outputs, self.lines_.shape[2], self.column)
        logs = np.full((len(x), outputs.n_classes), np.log(_SMALLEST))
        logs[:, self.seen_] = _log_softmax(x @ self.lines_[k].T + self.intercepts_[k])
        return _floored(logs)

    def _phi(self, outputs: ModelOutputs) -> Array:
        parts = []
        for column, mean, axes in (
            (self.column, self.mean_, self.axes_),
            ("features", self.feature_mean_, self.feature_axes_),
        ):
            if len(axes):
                parts.append((features_like(outputs, len(mean), column) - mean) @ axes.T)
        if not parts:
            return np.empty((len(outputs), 0))
        return self._support(outputs)[:, None] * np.clip(np.concatenate(parts, axis=1), -_FURTHEST, _FURTHEST)

    def _with_weights(self, logs: Array, phi: Array, labels: NDArray[np.int64], used: NDArray[np.bool_]) -> Self:
        fit = fused(logs[used], phi[used][:, : self._directions], labels[used], self.ridge_)
        self.weights_, self.bias_, self.directions_ = fit.weights, fit.bias, fit.directions
        return self

    def _score(self, outputs: ModelOutputs) -> Array:
        g, rows = self.posterior_logs(outputs), np.arange(len(outputs))
        own = g[rows, outputs.predictions]
        g[rows, outputs.predictions] = -np.inf
        top = g.max(axis=1)
        return np.asarray(top + np.log(np.exp(g - top[:, None]).sum(axis=1)) - own)


def _labelled(rows: ModelOutputs) -> ModelOutputs:
    """Return the rows of a known class, in the order of their ids, so that no sum depends on the order they came in."""
    order = np.argsort(rows.ids, kind="stable")
    return rows.take(order[known_classes(rows)[order] != UNKNOWN_CLASS])


def _log_softmax(logits: Any) -> Array:
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def _log_mean(probs: Any) -> Array:
    """Return the log (n, c) of the mean of probabilities (n, v, c)."""
    return np.asarray(np.log(np.maximum(probs.mean(axis=1, dtype=np.float64), _SMALLEST)))


def _floored(logs: Array) -> Array:
    return np.asarray(np.maximum(logs, np.log(_SMALLEST)))
