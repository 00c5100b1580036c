"""Plots of who was wrong: risk by coverage, reliability of p_wrong, confusion. They need matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.errors import InputError
from uncertainty.notebook import plots

_BINS = 15  # those of `metrics.ece`


class Plots:
    """Gives what has outcomes its plots; each draws into `ax`, or new axes, and returns them."""

    __slots__ = ()

    @property
    def _plotted(self) -> Any:
        return self

    def plot_risk_coverage(self, ax: Any = None) -> Any:
        """Draw the share of errors among the images kept, the surest first, for p_wrong and for max softmax."""
        found = _whole(self._plotted)
        wrong, scores = found.wrong, _scores(found)
        if not scores:
            raise InputError("neither p_wrong nor probabilities are known, so images have no order; screen them")
        named = {**scores, "perfect": wrong.astype(np.float64)}
        curves = {name: metrics.risk_coverage_curve(wrong, score) for name, score in named.items()}
        return plots.risk_coverage(curves, ax)

    def plot_reliability(self, ax: Any = None) -> Any:
        """Draw the share of errors against the mean p_wrong in bins of equally many images."""
        found = _whole(self._plotted)
        if (p_wrong := _scores(found).get("p_wrong")) is None:
            raise InputError("p_wrong is not known; take the outcomes of verdicts, Outcomes.from_verdicts")
        return plots.reliability(*reliability_bins(found.wrong, p_wrong), ax)

    def plot_confusion(self, ax: Any = None, *, most: int = 20) -> Any:
        """Draw how many images of each class were taken for each; beyond `most` classes those with most errors."""
        found = self._plotted
        if found.task == "multilabel":
            raise InputError("images have several labels each, so there is no confusion of one class with another")
        counts = np.zeros((len(found.classes),) * 2, dtype=np.int64)
        np.add.at(counts, (found.truth, found.predicted), 1)
        errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        shown = np.sort(np.argsort(-errors, kind="stable")[:most])
        return plots.confusion(counts[np.ix_(shown, shown)], [found.classes[k] for k in shown], ax)


def _whole(found: Any) -> Any:
    """Leave out images of which some answer is unknown."""
    return found if found.whole.all() else found.take(found.whole)


def _scores(found: Any) -> dict[str, NDArray[np.float64]]:
    known = {}
    if "p_wrong" in found.table.column_names:
        known["p_wrong"] = np.asarray(found.table["p_wrong"].to_numpy(), dtype=np.float64)
    if found.probs is not None and found.task == "multiclass":
        known["max_softmax"] = 1 - np.asarray(found.probs, dtype=np.float64).max(axis=1)
    return known


def reliability_bins(
    wrong: NDArray[np.bool_], p_wrong: NDArray[np.float64], bins: int = _BINS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean p_wrong, share of errors and number of images in bins of equally many images, the surest first.

    >>> found = reliability_bins(np.array([True, False, True, False]), np.array([0.9, 0.1, 0.7, 0.3]), bins=2)
    >>> [values.round(6).tolist() for values in found]
    [[0.2, 0.8], [0.0, 1.0], [2, 2]]
    """
    parts = [rows for rows in np.array_split(np.argsort(p_wrong, kind="stable"), bins) if len(rows)]
    means = ([values[rows].mean() for rows in parts] for values in (p_wrong, wrong))
    predicted, observed = (np.array(values, dtype=np.float64) for values in means)
    return predicted, observed, np.array([len(rows) for rows in parts], dtype=np.int64)
