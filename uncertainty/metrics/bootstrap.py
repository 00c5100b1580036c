"""How sure any metric is: bootstrap intervals over rows or groups of rows, for one score and for two compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uncertainty.errors import InputError
from uncertainty.metrics import selective
from uncertainty.metrics.intervals import Groups, Interval, difference
from uncertainty.metrics.ranking_intervals import (
    RankingInterval,
    augrc_interval,
    aurc_interval,
    auroc_interval,
    correct_flagged_interval,
    e_aurc_interval,
    errors_accepted_interval,
)

Metric = Callable[[Any, Any], float]
"""A function of `uncertainty.metrics.selective`: (wrong, score) to a number, NaN where it does not exist."""
FEWEST = 30
"""Errors, and correct rows, below which the bootstrap says nothing: with fewer its intervals are too narrow."""
_BETTER: dict[Metric, RankingInterval] = {
    selective.auroc: auroc_interval,
    selective.aurc: aurc_interval,
    selective.e_aurc: e_aurc_interval,
    selective.augrc: augrc_interval,
    selective.errors_accepted_at_95_correct: errors_accepted_interval,
    selective.correct_flagged_at_95_errors: correct_flagged_interval,
}
"""Metrics that need no bootstrap."""


def bootstrap_interval(
    metric: Metric,
    wrong: ArrayLike,
    score: ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    groups: Groups = None,
) -> Interval:
    """Value of metric(wrong, score) with an interval that holds; same seed, same interval.

    Metrics that have one get their interval of `ranking_intervals`. Of others the bootstrap over rows (Efron 1979) says
    the standard error, on the log-odds scale inside 0..1, and Student's t of as many errors or correct rows as there
    are, whichever is fewer, how many of them. Withheld (NaN) below 30, where resamples vary too little. Rows of one of
    `groups` (n,) are drawn together, and counted once. A value that is biased, as `ece` is, stays so.

    >>> from uncertainty.metrics.selective import average_precision
    >>> bootstrap_interval(average_precision, [True, False], [0.2, 0.1], resamples=10)
    Interval(low=nan, value=1.0, high=nan)
    """
    if metric in _BETTER:
        return _BETTER[metric](wrong, score, level, groups)
    value = metric(wrong, score)
    draws = resampled(wrong, [score], resamples=resamples, seed=seed, groups=groups)
    return by_standard_error(value, np.array([metric(*pair) for (pair,) in draws]), fewest(wrong, groups), level)


def by_standard_error(value: float, draws: NDArray[np.float64], rows: int, level: float = 0.95) -> Interval:
    """Return the interval of a value by the standard error of its resamples (r,); withheld below 30 rows.

    >>> by_standard_error(2.0, np.array([1.0, 3.0]), 29)
    Interval(low=nan, value=2.0, high=nan)
    """
    if rows < FEWEST:
        return Interval.withheld(value)
    from scipy.special import expit, logit, stdtrit

    draws = draws[~np.isnan(draws)]
    inside = 0 < value < 1 and len(draws) > 1 and draws.min() > 0 and draws.max() < 1
    half = stdtrit(rows - 1, (1 + level) / 2) * float(np.std(logit(draws) if inside else draws, ddof=1))
    if not half > 0:
        return Interval.withheld(value)
    if not inside:
        return Interval(value - half, value, value + half)
    return Interval(float(expit(logit(value) - half)), value, float(expit(logit(value) + half)))


def bootstrap_difference(
    metric: Metric,
    wrong: ArrayLike,
    score: ArrayLike,
    other: ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of metric(score) − metric(other): both intervals, and how far both move together over resampled rows.

    An interval that leaves out 0 says that one score is better. Withheld where one of the two is, but for two scores of
    the same order, which never differ:

    >>> from uncertainty.metrics.selective import auroc
    >>> bootstrap_difference(auroc, [False, True], [0.1, 0.2], [1.0, 2.0], resamples=10)
    Interval(low=0.0, value=0.0, high=0.0)
    """
    if same_order(score, other):
        value = metric(wrong, score) - metric(wrong, other)
        return Interval(value, value, value)
    one, two = (
        bootstrap_interval(metric, wrong, values, resamples=resamples, seed=seed, level=level)
        for values in (score, other)
    )
    pairs = resampled(wrong, [score, other], resamples=resamples, seed=seed)
    return difference(one, two, correlation(np.array([[metric(*pair) for pair in both] for both in pairs])))


def correlation(values: NDArray[np.float64]) -> float:
    """Return how far two columns of values (r, 2) move together, 0 where one does not move or does not exist.

    >>> correlation(np.array([[0.1, 0.2], [0.2, 0.4], [np.nan, 0.3]])), correlation(np.ones((3, 2)))
    (1.0, 0.0)
    """
    there: NDArray[np.float64] = values.reshape(-1, 2)
    there = there[~np.isnan(there).any(axis=1)]
    if len(there) < 2 or not (there.max(axis=0) - there.min(axis=0) > 1e-12).all():
        return 0.0
    return round(float(np.asarray(np.corrcoef(there.T))[0, 1]), 12)


def fewest(wrong: ArrayLike, groups: Groups = None) -> int:
    """Return the number of errors or of correct rows, whichever is smaller; of groups that hold such rows.

    >>> fewest([True, False, False])
    1
    """
    flags = np.asarray(wrong, dtype=np.bool_)
    return min(int(s.sum()) if groups is None else len(np.unique(groups[s])) for s in (flags, ~flags))


def same_order(score: ArrayLike, other: ArrayLike) -> bool:
    """Whether two scores rank all rows alike, ties included.

    >>> same_order([0.1, 0.2, 0.2], [1.0, 5.0, 5.0]), same_order([0.1, 0.2], [0.2, 0.1])
    (True, False)
    """
    first, second = (np.unique(np.asarray(s, dtype=np.float64), return_inverse=True)[1] for s in (score, other))
    return bool(np.array_equal(first, second))


def resampled(
    wrong: ArrayLike, scores: Sequence[ArrayLike], *, resamples: int, seed: int, groups: Groups = None
) -> Iterator[list[tuple[NDArray[np.bool_], NDArray[np.float64]]]]:
    """Yield, for each bootstrap resample of the rows, one (wrong, score) for each of the scores, sorted by it.

    Rows of one of `groups` (n,) come together, as often as their group is drawn.

    >>> next(resampled([True], [[0.5], [0.7]], resamples=1, seed=0))
    [(array([ True]), array([0.5])), (array([ True]), array([0.7]))]
    """
    flags, columns = np.asarray(wrong, dtype=np.bool_), [np.asarray(score, dtype=np.float64) for score in scores]
    if shapes := [column.shape for column in columns if column.shape != flags.shape]:
        raise InputError(f"scores have shape {shapes[0]} and wrong has {flags.shape}; give one score for each row")
    orders = [np.argsort(column, kind="stable") for column in columns]
    for times in drawn(len(flags), resamples, seed, groups):
        # Sorted once, repeated in order: a metric then sorts what is sorted already, which costs next to nothing.
        rows = [np.repeat(order, times[order]) for order in orders]
        yield [(flags[row], column[row]) for row, column in zip(rows, columns, strict=True)]


def drawn(n: int, resamples: int, seed: int, groups: Groups = None) -> Iterator[NDArray[np.int64]]:
    """Yield (n,) how often each row is in a resample: rows, or whole groups of them, drawn with putting back.

    >>> next(drawn(3, 1, 0, np.array([5, 5, 7]))).tolist() in ([0, 0, 2], [1, 1, 1], [2, 2, 0])
    True
    """
    rng = np.random.default_rng(seed)
    which = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(which.max(initial=-1)) + 1
    for _ in range(resamples if n else 0):
        yield np.bincount(rng.integers(0, count, count), minlength=count)[which]
