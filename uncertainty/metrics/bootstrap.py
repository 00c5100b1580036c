"""How sure a metric is: bootstrap intervals over the rows, for one score and for the difference of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uncertainty.errors import InputError

Metric = Callable[[Any, Any], float]
"""A function of `uncertainty.metrics.selective`: (wrong, score) to a number, NaN where it does not exist."""


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; all NaN where the value does not exist."""

    low: float
    value: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: ArrayLike, level: float = 0.95) -> Interval:
        """Percentile interval of the resampled values; resamples in which the value does not exist are left out.

        >>> Interval.of(0.5, [0.0, 0.25, 0.5, 0.75, 1.0], level=0.5)
        Interval(low=0.25, value=0.5, high=0.75)
        """
        existing = np.asarray(resampled, dtype=np.float64)
        existing = existing[~np.isnan(existing)]
        if np.isnan(value) or not len(existing):
            return cls(np.nan, value, np.nan)
        low, high = np.quantile(existing, [(1 - level) / 2, (1 + level) / 2])
        return cls(float(low), float(value), float(high))


def bootstrap_interval(
    metric: Metric, wrong: ArrayLike, score: ArrayLike, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Value of metric(wrong, score) with its percentile bootstrap interval over rows; same seed, same interval.

    Efron 1979. Resamples of errors alone are errors alone, with an AUGRC of ½:

    >>> from uncertainty.metrics.selective import augrc
    >>> bootstrap_interval(augrc, [True, True], [0.1, 0.2], resamples=10)
    Interval(low=0.5, value=0.5, high=0.5)
    """
    values = [metric(*pair) for (pair,) in resampled(wrong, [score], resamples=resamples, seed=seed)]
    return Interval.of(metric(wrong, score), values, level)


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
    """Interval of metric(score) − metric(other), both on the same resampled rows, so what they share cancels.

    An interval that leaves out 0 says that one score is better. Two scores of the same order never differ:

    >>> from uncertainty.metrics.selective import auroc
    >>> bootstrap_difference(auroc, [False, True], [0.1, 0.2], [1.0, 2.0], resamples=10).value
    0.0
    """
    pairs = resampled(wrong, [score, other], resamples=resamples, seed=seed)
    values = [metric(*first) - metric(*second) for first, second in pairs]
    return Interval.of(metric(wrong, score) - metric(wrong, other), values, level)


def resampled(
    wrong: ArrayLike, scores: Sequence[ArrayLike], *, resamples: int, seed: int
) -> Iterator[list[tuple[NDArray[np.bool_], NDArray[np.float64]]]]:
    """Yield, for each bootstrap resample of the rows, one (wrong, score) for each of the scores, sorted by it.

    >>> next(resampled([True], [[0.5], [0.7]], resamples=1, seed=0))
    [(array([ True]), array([0.5])), (array([ True]), array([0.7]))]
    """
    flags, columns = np.asarray(wrong, dtype=np.bool_), [np.asarray(score, dtype=np.float64) for score in scores]
    if shapes := [column.shape for column in columns if column.shape != flags.shape]:
        raise InputError(f"scores have shape {shapes[0]} and wrong has {flags.shape}; give one score for each row")
    orders = [np.argsort(column, kind="stable") for column in columns]
    rng, n = np.random.default_rng(seed), len(flags)
    for _ in range(resamples if n else 0):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        # Sorted once, repeated in order: a metric then sorts what is sorted already, which costs next to nothing.
        rows = [np.repeat(order, times[order]) for order in orders]
        yield [(flags[row], column[row]) for row, column in zip(rows, columns, strict=True)]
