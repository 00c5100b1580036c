"""Have only the shares of the classes changed? Then accuracy follows from them: each image's odds move with its class.

Under label shift the images of a class stay as they were and there are more or fewer of them. The posterior of a class
then moves in proportion to its share, and the most likely shares of a batch are found by expectation and maximisation
(Saerens, Latinne and Decaestecker 2002). Damage moves the posteriors too, and would be taken for other shares; so what
is found counts only where calibration rows, drawn in these shares, look like the batch in every score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats
from uncertainty.metrics.intervals import Groups, largest_factor
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.drift import FALSE_ALARMS, FEWEST, looks_alike

_SMOOTHED = 4.0
"""Errors as good as seen for each predicted class, spread over the classes as all errors are."""
_ROUNDS, _ENOUGH = 500, 1e-7
_PARTS = 20
_CLIP = 1e-6


@dataclass(frozen=True, eq=False)
class ClassShift:
    """Other shares of the classes, which explain how a batch differs from calibration.

    Parameters
    ----------
    before, now : (c,) shares of the classes in calibration and in the batch; the last is of no known class.
    ratios : (c,) now / before.
    if_wrong : (c, c) by predicted class, the chance of each class for an image that is wrong.

    """

    before: Floats
    now: Floats
    ratios: Floats
    if_wrong: Floats

    def p_wrong(self, p: Floats, predicted: NDArray[np.int64]) -> Floats:
        """Return (n,) p_wrong with the shares as they are now, from p_wrong with those of calibration.

        Odds of an error, times how much more frequent the classes are that the image may be of instead.
        """
        others = self.if_wrong[predicted] @ self.ratios
        return np.asarray(p * others / np.maximum(p * others + (1 - p) * self.ratios[predicted], 1e-12))


def class_shift(
    baseline: Baseline, batch: Rows, seed: int = 0, level: float = FALSE_ALARMS, groups: Groups = None
) -> ClassShift | None:
    """Return how the shares of the classes changed; None where they did not, or where that is not all that changed.

    Asked are both: shares as in calibration are too unlikely (likelihood ratio, at `level`), and calibration rows
    drawn in the new shares can't be told from the batch (`looks_alike`, at `level`). Also None without labels of the
    calibration rows, for several labels an image, for a predicted class that calibration lacks, and where fewer than 20
    calibration rows have such classes.
    """
    from scipy.stats import chi2

    if baseline.labels is None or min(len(batch), len(baseline.wrong)) < FEWEST or (batch.predicted < 0).any():
        return None
    if batch.predicted.max() >= baseline.classes:
        return None
    found = _shift(_if_wrong(baseline, baseline.classes), baseline.rows, batch)
    ratio = 2 * float(np.log((_posteriors(batch, found.if_wrong) * found.ratios).sum(axis=1)).sum())
    # Calibration is a draw too, so its own shares are off as those of so many rows are.
    ratio *= len(baseline.wrong) / (len(baseline.wrong) + len(batch)) / largest_factor(groups)
    if ratio <= chi2.ppf(1 - level, max(int((found.before > _CLIP).sum()) - 1, 1)):
        return None
    kept = _in_shares(baseline, found, seed)
    if kept.sum() < FEWEST or not _alike(baseline, batch, kept, groups, level, seed):
        return None
    return found


def most_likely_shares(posteriors: Floats, before: Floats) -> Floats:
    """Return the most likely shares (c,) of the classes, from posteriors (n, c) that assume other shares (c,), by EM.

    Two images are surely of the first class and one of the second, whatever was assumed:

    >>> most_likely_shares(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.5])).round(3).tolist()
    [0.667, 0.333]
    """
    shares = before
    for _ in range(_ROUNDS):
        moved = posteriors * (shares / before)
        last, shares = shares, (moved / moved.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(shares - last).max() < _ENOUGH:
            break
    return shares


def spread(baseline: Baseline, batch: Rows, found: ClassShift, groups: Groups = None) -> float:
    """Return the standard error of mean p_wrong for what the shares may be off, and what calibration says of errors.

    Both by a jackknife: the batch in 20 parts, and calibration in as many, each left out in turn.
    """
    known, of = baseline, baseline.clusters
    without = [known.take(part) for part in _left_out(len(known.wrong), of)]
    moved = [_mean(_shift(_if_wrong(rows, known.classes), rows.rows, batch), batch) for rows in without]
    means = [
        _mean(_shift(found.if_wrong, known.rows, rows), batch)
        for rows in (batch.take(part) for part in _left_out(len(batch), groups))
    ]
    return float(np.sqrt((len(means) - 1) * np.var(means) + (len(moved) - 1) * np.var(moved)))


def _left_out(n: int, groups: Groups) -> list[NDArray[np.bool_]]:
    of = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    part = np.random.default_rng(0).permutation(int(of.max()) + 1)[of] % _PARTS
    return [part != k for k in np.unique(part)]


def _mean(found: ClassShift, batch: Rows) -> float:
    return float(found.p_wrong(batch.p_wrong.astype(np.float64), batch.predicted).mean())


def _shift(if_wrong: Floats, known: Rows, seen: Rows) -> ClassShift:
    before = np.maximum(_posteriors(known, if_wrong).mean(axis=0), _CLIP**2)
    now = most_likely_shares(_posteriors(seen, if_wrong), before)
    return ClassShift(before, now, now / before, if_wrong)


def _alike(baseline: Baseline, batch: Rows, kept: NDArray[np.bool_], groups: Groups, level: float, seed: int) -> bool:
    clusters = None if baseline.clusters is None else baseline.clusters[kept]
    return looks_alike(baseline.rows.take(kept), batch, level=level, seed=seed, groups=(clusters, groups))


def _if_wrong(baseline: Baseline, classes: int) -> Floats:
    """(c, c) of the wrong calibration rows of each predicted class, what they are."""
    c = classes + 1
    counts, wrong, of = np.zeros((c, c)), baseline.wrong, _labels(baseline, classes)
    np.add.at(counts, (baseline.rows.predicted[wrong], of[wrong]), 1)
    # A class that calibration never had can't be told from the others, so no error is taken for it.
    usual = np.tile(counts.sum(axis=0) + (np.bincount(of, minlength=c) > 0), (c, 1))
    usual[np.arange(c), np.arange(c)] = 0
    counts += _SMOOTHED * usual / np.maximum(usual.sum(axis=1, keepdims=True), _CLIP)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), _CLIP))


def _labels(baseline: Baseline, classes: int) -> NDArray[np.int64]:
    """(n,) the class of each calibration row, `classes` for none that is known."""
    labels = np.full(len(baseline.wrong), -1) if baseline.labels is None else baseline.labels
    return np.where(labels < 0, classes, labels)


def _posteriors(rows: Rows, if_wrong: Floats) -> Floats:
    """(n, c) the chance of each class: the predicted one unless wrong, otherwise as those that were wrong."""
    p = np.clip(rows.p_wrong.astype(np.float64), _CLIP, 1 - _CLIP)
    predicted = np.minimum(rows.predicted, len(if_wrong) - 1)
    posteriors = p[:, None] * if_wrong[predicted]
    posteriors[np.arange(len(p)), predicted] = 1 - p
    return posteriors


def _in_shares(baseline: Baseline, found: ClassShift, seed: int) -> NDArray[np.bool_]:
    """(n,) calibration rows, drawn so that their classes have the shares of the batch; none twice."""
    own = found.ratios[_labels(baseline, len(found.ratios) - 1)]
    return np.asarray(np.random.default_rng(seed).random(len(own)) < own / max(float(own.max()), 1e-12))
