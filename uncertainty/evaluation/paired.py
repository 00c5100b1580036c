"""Two runs on the same rows: exact tests of what changed, and intervals of differences, what both share cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.metrics.bootstrap import Metric, by_standard_error, correlation, drawn, fewest
from uncertainty.metrics.intervals import Groups, Interval, difference, share_interval
from uncertainty.metrics.ranking_intervals import INTERVALS


@dataclass(frozen=True)
class Paired:
    """One number of run A, of run B, and B − A, each with an interval over the same images, whose ends are NaN where it
    is withheld; None = can't be said."""

    a: Interval | None
    b: Interval | None
    difference: Interval | None


@dataclass(frozen=True)
class Resampling:
    """How many times rows are drawn anew, from which seed on, and how sure intervals are."""

    resamples: int
    seed: int = 0
    level: float = 0.95


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p-value that a change is as likely for the better as for the worse (McNemar 1947), 1 for none.

    Five changes, all for the better: 2 / 2⁵

    >>> mcnemar(5, 0)
    0.0625
    """
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def grouped_mcnemar(fixed: NDArray[np.bool_], broken: NDArray[np.bool_], groups: Groups = None) -> float:
    """Return `mcnemar` of images (n,), where those of a group change together: the sign of each group's sum is tossed.

    Three fixed images of one group are no more than one:

    >>> grouped_mcnemar(np.ones(3, dtype=bool), np.zeros(3, dtype=bool), np.zeros(3, dtype=np.int64))
    1.0
    """
    if groups is None:
        return mcnemar(int(fixed.sum()), int(broken.sum()))
    changed = np.bincount(groups, fixed.astype(np.int64) - broken.astype(np.int64)).astype(np.int64)
    chance = np.ones(1)
    for size in np.abs(changed[changed != 0]).tolist():
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        chance = np.convolve(chance, step)
    total = np.abs(np.arange(len(chance)) - len(chance) // 2)
    return float(min(chance[total >= abs(int(changed.sum()))].sum(), 1.0))


def paired_scores(
    measures: Mapping[str, Metric],
    wrong: list[NDArray[np.bool_]],
    p_wrong: list[NDArray[np.float64]],
    resampling: Resampling,
    groups: Groups = None,
) -> dict[str, Paired]:
    """Every measure of both runs, and their differences on the same resampled images: what both share cancels."""
    resamples, seed, level = resampling.resamples, resampling.seed, resampling.level
    if not len(wrong[0]):
        return dict.fromkeys(measures, Paired(None, None, None))
    resampled = list(_resampled(wrong, p_wrong, resamples, seed, groups))
    values = np.array([[[f(*run) for run in both] for f in measures.values()] for both in resampled])
    found = {}
    for i, name in enumerate(measures):
        a, b = (
            _alone(name, *run, values[:, i, k], groups, level) for k, run in enumerate(zip(wrong, p_wrong, strict=True))
        )
        found[name] = Paired(_known(a), _known(b), _known(_change(b, a, values[1:, i])))
    return found


def _alone(
    name: str,
    wrong: NDArray[np.bool_],
    p_wrong: NDArray[np.float64],
    values: NDArray[np.float64],
    groups: Groups,
    level: float,
) -> Interval:
    """A measure of one run with its interval; `values` are that of the images, and of resample after resample."""
    if name in INTERVALS:
        return INTERVALS[name](wrong, p_wrong, level, groups)
    if name == "ece":  # few images make it too large, and a resample adds to that: no interval of it holds
        return Interval.withheld(values[0])
    return by_standard_error(values[0], values[1:], fewest(wrong, groups), level)


def _change(b: Interval, a: Interval, values: NDArray[np.float64]) -> Interval:
    if (values[:, 0] == values[:, 1]).all() and a == b:
        return Interval(0.0, 0.0, 0.0) if a.known else Interval.withheld(0.0)
    return difference(b, a, correlation(values))


def _known(interval: Interval) -> Interval | None:
    return None if np.isnan(interval.value) else interval


def accuracies(wrong: list[NDArray[np.bool_]], groups: Groups = None, level: float = 0.95) -> Paired:
    """Return the accuracy of both runs, and their difference: of the exact shares fixed and broken."""
    if not len(wrong[0]):
        return Paired(None, None, None)
    fixed, broken = (share_interval(one & ~other, groups, level) for one, other in (wrong, wrong[::-1]))
    a, b = (share_interval(~one, groups, level) for one in wrong)
    return Paired(a, b, difference(fixed, broken, 0.0))


def _resampled(
    wrong: list[NDArray[np.bool_]], p_wrong: list[NDArray[np.float64]], resamples: int, seed: int, groups: Groups
) -> Iterator[list[tuple[NDArray[np.bool_], NDArray[np.float64]]]]:
    """Yield (wrong, p_wrong) of both runs: as they are first, then for resample after resample of the images."""
    yield list(zip(wrong, p_wrong, strict=True))
    orders = [np.argsort(score, kind="stable") for score in p_wrong]
    for times in drawn(len(wrong[0]), resamples, seed, groups):
        rows = [np.repeat(order, times[order]) for order in orders]  # sorted, so that metrics sort in no time
        yield [(w[row], p[row]) for w, p, row in zip(wrong, p_wrong, rows, strict=True)]
