"""Intervals that hold at any number of hits: exact ones of shares, and sums and differences made of others.

Rows that belong together (`groups`: frames of a film, pictures of a patient) say less than as many rows apart. Their
number is lowered to that of rows apart that would tell as much: by how much the groups differ more than their rows
would (Kish 1965), as far as there are groups to tell; with few, as if all rows of a group were one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Groups = NDArray[np.int64] | None
_TELLING = 20.0
"""Rows or groups at which what is seen of a spread counts as much as what is assumed of it."""


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; ends are NaN where it is withheld, all where the value does not exist."""

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
            return cls.withheld(value)
        low, high = np.quantile(existing, [(1 - level) / 2, (1 + level) / 2])
        return cls(float(low), float(value), float(high))

    @classmethod
    def withheld(cls, value: float) -> Interval:
        """Return a value whose interval could not be relied on."""
        return cls(np.nan, float(value), np.nan)

    @property
    def known(self) -> bool:
        """Whether there are ends."""
        return not np.isnan([self.low, self.value, self.high]).any()


def upper_limit(bad: float, rows: float, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson limit: the largest share for which P(Bin(rows, share) <= bad) >= 1 - C.

    Parameters
    ----------
    bad, rows : 0 <= bad <= rows; without rows the limit is 1. Counts that are no integers are read off the beta
        distribution between those that are.
    confidence : C in 0..1.

    Examples
    --------
    Without a bad row, (1 - limit)^rows = 1 - C; 0.05^(1/59) = 0.9505:

    >>> round(upper_limit(0, 59, 0.95), 4)
    0.0495

    """
    from scipy.special import betaincinv

    return 1.0 if bad >= rows else float(betaincinv(bad + 1, rows - bad, confidence))


def exact_share(hits: float, rows: float, level: float = 0.95) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson interval of a share; (0, 1) without rows.

    >>> [round(end, 4) for end in exact_share(0, 10)]
    [0.0, 0.3085]
    """
    side = (1 + level) / 2
    return 1 - upper_limit(rows - hits, rows, side), upper_limit(hits, rows, side)


def share_interval(hits: NDArray[np.bool_], groups: Groups = None, level: float = 0.95) -> Interval:
    """Return the share of hits (n,) with its exact interval, for fewer rows where they belong together.

    >>> found = share_interval(np.array([True, False]))
    >>> round(found.low, 4), found.value, round(found.high, 4)
    (0.0126, 0.5, 0.9874)
    """
    if not len(hits):
        return Interval(np.nan, np.nan, np.nan)
    share, rows = float(hits.mean()), rows_apart(hits, groups)
    low, high = exact_share(share * rows, rows, level)
    return Interval(low, share, high)


def rows_apart(values: NDArray[np.bool_] | Floats, groups: Groups = None) -> float:
    """Return how many rows apart would tell as much about the mean of values (n,) as these rows in groups do.

    Without groups all of them; of groups that are all alike, by Σ size² / n as many as there are groups:

    >>> rows_apart(np.ones(4), None), rows_apart(np.ones(4), np.array([0, 0, 1, 1]))
    (4.0, 2.0)
    """
    n = len(values)
    if groups is None or not n:
        return float(n)
    away = np.asarray(values, dtype=np.float64) - float(np.mean(values))
    alone = float(away @ away)
    return n / widened(of_groups(away, groups), alone, largest_factor(groups), len(np.unique(groups)))


def group_numbers(names: Sequence[str], groups: Mapping[str, str] | None) -> Groups:
    """Return the number of the group of each name, (n,); one without a group is one by itself. None without groups.

    >>> group_numbers(["a", "b", "c"], {"a": "film", "b": "film"}).tolist()
    [1, 1, 0]
    """
    if groups is None:
        return None
    numbers: dict[tuple[bool, str], int] = {}
    keys = [(name in groups, groups.get(name, name)) for name in names]
    for key in sorted(set(keys)):
        numbers[key] = len(numbers)
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def of_groups(influence: Floats, groups: Groups) -> float:
    """Return the variance of Σ influence (n,): Σ of the squares of each group's sum, times k / (k - 1) for k groups.

    >>> of_groups(np.array([1.0, -1.0]), None), of_groups(np.array([1.0, -1.0]), np.array([0, 0]))
    (4.0, 0.0)
    """
    sums = influence if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], influence)
    return float(sums @ sums) * len(sums) / max(len(sums) - 1, 1)


def largest_factor(groups: Groups) -> float:
    """Return how much larger a variance is where all rows of a group are alike: Σ size² / n; 1 without groups.

    >>> largest_factor(np.array([0, 0, 1, 1]))
    2.0
    """
    if groups is None or not len(groups):
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum())


def widened(seen: float, assumed: float, factor: float, count: int) -> float:
    """Return by what a variance that was assumed has to be multiplied, at least 1: between `factor` and what is seen.

    Twenty rows or groups count as much as the assumption:

    >>> widened(3.0, 1.0, 1.0, 20), widened(0.1, 1.0, 1.0, 20)
    (2.0, 1.0)
    """
    if not assumed > 0:
        return max(factor, 1.0)
    trust = count / (count + _TELLING)
    return max(1.0, (1 - trust) * factor + trust * seen / assumed)


def difference(a: Interval, b: Interval, correlation: float) -> Interval:
    """Return a - b, each with its own interval, by the method of variance estimates recovery (Zou 2007).

    Low: d - √((a - low_a)² + (high_b - b)² - 2 r (a - low_a)(high_b - b)), and so for the high end.

    Here 0.6 - √(0.3² + 0.4²) and 0.6 + √(0.05² + 0.12²):

    >>> found = difference(Interval(0.5, 0.8, 0.85), Interval(0.08, 0.2, 0.6), 0.0)
    >>> round(found.low, 3), round(found.value, 3), round(found.high, 3)
    (0.1, 0.6, 0.73)
    """
    value = a.value - b.value
    if not (a.known and b.known):
        return Interval.withheld(value)
    r = float(np.clip(correlation, 0, 1))
    low = _together(a.value - a.low, b.high - b.value, r)
    high = _together(a.high - a.value, b.value - b.low, r)
    return Interval(value - low, value, value + high)


def _together(one: float, other: float, r: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 - 2 * r * one * other, 0.0)))
