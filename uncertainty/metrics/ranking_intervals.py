"""Intervals of how well a score ranks, that hold with few errors: the variance is that of the value being tested.

A bootstrap of a perfect ranking says 1.000 to 1.000, for no resample is worse. A score interval holds those values for
which what was seen lies within z standard errors *of that value* (Wilson's idea). The variance is that of one family of
scores, Hanley and McNeil's exponential one, and is made larger where the rows at hand vary more, the more so the more
errors there are to see it by. What is counted (errors caught, errors accepted) has an exact interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uncertainty.metrics import selective
from uncertainty.metrics.intervals import (
    Floats,
    Groups,
    Interval,
    exact_share,
    largest_factor,
    of_groups,
    rows_apart,
    share_interval,
    widened,
)

Mask = NDArray[np.bool_]
RankingInterval = Callable[[ArrayLike, ArrayLike, float, Groups], Interval]
"""(wrong, score, level, groups) to a value with its interval."""
FEWEST_ERRORS = 10
"""Errors below which AURC and E-AURC have no interval: one error among the surest rows moves them too far."""
_STEPS = 4000
_DOUBT = 1.3
"""Rows that vary more than the family says are taken to vary by so much more again: how much is itself uncertain."""
_SKEW, _SKEW_OF_FEW = 1.3, 6.0
"""By what the variance of -ln(share of rows) is widened for its long tail, not shown by few errors; by simulation."""


def auroc_interval(wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None) -> Interval:
    """Return `auroc` with its score interval (Hanley and McNeil 1982, inverted).

    Var(A) = (A (1 - A) + (E - 1)(A / (2 - A) - A²) + (C - 1)(2 A² / (1 + A) - A²)) / (E C) for E errors and C correct
    rows, widened as the placements vary more (DeLong et al. 1988).

    One error above its only correct row: Var(A) = A (1 - A), and (1 - A)² <= 3.84 Var(A) from 1 / 4.84 on.

    >>> found = auroc_interval([False, True], [0.1, 0.2])
    >>> round(found.low, 3), found.value, found.high
    (0.207, 1.0, 1.0)
    """
    flags, values = _arrays(wrong, score)
    value = selective.auroc(flags, values)
    if np.isnan(value):
        return Interval.withheld(value)
    errors, correct = int(flags.sum()), int((~flags).sum())
    below, above = _placements(flags, values)
    influence = np.where(flags, (below - value) / errors, (above - value) / correct)
    assumed = float(_hanley_mcneil(np.array([value]), errors, correct)[0])
    wider = _wider(influence, assumed, flags, groups)
    tested = np.linspace(0, 1, _STEPS + 1)
    return _inverted(value, tested, wider * _hanley_mcneil(tested, errors, correct), level)


def _hanley_mcneil(a: Floats, errors: int, correct: int) -> Floats:
    pairs = a * (1 - a) + (errors - 1) * (a / (2 - a) - a**2) + (correct - 1) * (2 * a**2 / (1 + a) - a**2)
    return np.asarray(pairs / (errors * correct))


def augrc_interval(wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None) -> Interval:
    """Return `augrc` with its interval: (1 - AUROC) acc err + ½ err², from the intervals of AUROC and of err.

    Both recovered together (Zou and Donner 2008): the squares of what each end of the one and of the other moves it by.
    """
    flags, values = _arrays(wrong, score)
    a = auroc_interval(flags, values, level, groups)
    value = selective.augrc(flags, values)
    if not a.known:
        return Interval.withheld(value)
    rate, missed = _error_rate(flags, level, groups), Interval(1 - a.high, 1 - a.value, 1 - a.low)
    return _recovered(value, lambda miss, err: miss * err * (1 - err) + err**2 / 2, missed, rate)


def e_aurc_interval(wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None) -> Interval:
    """Return `e_aurc` with its interval, that of `_excess` and of err recovered together; withheld below 10 errors."""
    return _area(selective.e_aurc, lambda excess, rate: excess * rate, wrong, score, level, groups)


def aurc_interval(wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None) -> Interval:
    """Return `aurc` with its interval: E-AURC and the smallest AURC, err + acc ln(acc); withheld below 10 errors."""

    def area(excess: float, rate: float) -> float:
        return excess * rate + rate + (1 - rate) * float(np.log1p(-min(rate, 1 - 1e-12)))

    return _area(selective.aurc, area, wrong, score, level, groups)


def _area(
    metric: Callable[[Mask, Floats], float],
    area: Callable[[float, float], float],
    wrong: ArrayLike,
    score: ArrayLike,
    level: float,
    groups: Groups,
) -> Interval:
    flags, values = _arrays(wrong, score)
    value, errors = metric(flags, values), int(flags.sum())
    if errors < FEWEST_ERRORS or errors == len(flags):
        return Interval.withheld(value)
    return _recovered(value, area, _excess(flags, values, level, groups), _error_rate(flags, level, groups))


def _recovered(value: float, area: Callable[[float, float], float], by: Interval, rate: Interval) -> Interval:
    """The ends of a rising function of two values, from the intervals of both (Zou and Donner 2008)."""
    here = area(by.value, rate.value)
    below = np.hypot(here - area(by.low, rate.value), max(here - area(by.value, rate.low), 0.0))
    above = np.hypot(area(by.high, rate.value) - here, max(area(by.value, rate.high) - here, 0.0))
    # Of few rows the value lies a little beside what its formula for many gives; the interval is of both.
    return Interval(max(float(min(value, here) - below), 0.0), value, min(float(max(value, here) + above), 1.0))


def _excess(flags: Mask, values: Floats, level: float, groups: Groups) -> Interval:
    """E-AURC / err with its score interval.

    It is close to the mean over the errors of -ln(share of rows at most as suspicious), which for scores of Hanley and
    McNeil's family has mean ψ(b + 1) - ψ(1) and variance ψ'(1) - ψ'(b + 1), b = (1 - A) / A. All b are tested.
    """
    errors, err = int(flags.sum()), float(flags.mean())
    seen = selective.e_aurc(flags, values) / err
    means, variances = _family()
    assumed = float(np.interp(seen, means, variances)) / errors
    influence = (_influence(flags, values) - seen * (flags - err) / len(flags)) / err
    wider = _wider(influence, assumed, flags, groups) * (_SKEW + _SKEW_OF_FEW / errors)
    return _inverted(seen, means, wider * variances / errors, level)


def _family() -> tuple[Floats, Floats]:
    """Mean and variance of -ln(1 - V) for V of Beta(b, 1), over all b that matter."""
    from scipy.special import digamma, polygamma

    b = np.append(0.0, np.geomspace(1e-6, 1e3, _STEPS))
    return digamma(b + 1) - digamma(1), polygamma(1, 1) - polygamma(1, b + 1)


def _influence(flags: Mask, values: Floats) -> Floats:
    """What each row moves E-AURC by, (n,) in the order of the rows; rows that are tied share theirs."""
    n, order = len(flags), np.argsort(values, kind="stable")
    k, tie = np.arange(1, n + 1), np.cumsum(np.diff(values[order], prepend=-np.inf) > 0) - 1
    size = np.bincount(tie)
    shared = (np.bincount(tie, flags[order]) / size)[tie]
    heights = (np.bincount(tie, np.cumsum((1 / k)[::-1])[::-1]) / size)[tie]
    tail = (np.bincount(tie, np.cumsum((shared / k)[::-1])[::-1]) / size)[tie]
    err = float(flags.mean())
    moved = flags[order] * heights - float((flags[order] * heights).mean()) - (tail - err)
    moved += (flags[order] - err) * np.log(max(1 - err, 1 / n))  # what the smallest possible AURC moves by
    influence = np.empty(n)
    influence[order] = moved / n
    return influence


def errors_caught_interval(
    wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None, *, budget: float
) -> Interval:
    """Return `errors_caught` within a budget with its interval.

    So many of the errors, exactly, and what the threshold, a quantile of all rows, may be off: recovered together.
    """
    flags, values = _arrays(wrong, score)
    value = selective.errors_caught(flags, values, budget)
    if np.isnan(value):
        return Interval.withheld(value)
    own, of_errors = values[flags], None if groups is None else groups[flags]
    lowest, highest = _quantile_between(np.sort(values), 1 - budget, level, len(values) / largest_factor(groups))
    rows = rows_apart(own >= np.quantile(values, 1 - budget), of_errors)
    low, high = exact_share(value * rows, rows, level)
    below = np.hypot(value - low, max(value - float((own > highest).mean()), 0.0))
    above = np.hypot(high - value, max(float((own > lowest).mean()) - value, 0.0))
    return Interval(max(float(value - below), 0.0), value, min(float(value + above), 1.0))


def errors_accepted_interval(
    wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None
) -> Interval:
    """Return `errors_accepted_at_95_correct` with its interval; exact for what the two kinds of rows say apart.

    The threshold lies between two correct rows with probability √level, whatever the scores are (order statistics), and
    the share of errors up to either has its exact interval of level √level.
    """
    flags, values = _arrays(wrong, score)
    value = selective.errors_accepted_at_95_correct(flags, values)
    return _beyond(value, values, flags, level, groups)


def correct_flagged_interval(
    wrong: ArrayLike, score: ArrayLike, level: float = 0.95, groups: Groups = None
) -> Interval:
    """Return `correct_flagged_at_95_errors` with its interval: the mirror image of `errors_accepted_interval`."""
    flags, values = _arrays(wrong, score)
    return _beyond(selective.correct_flagged_at_95_errors(flags, values), -values, ~flags, level, groups)


def _beyond(value: float, values: Floats, counted: Mask, level: float, groups: Groups) -> Interval:
    """Share of the counted rows with a value up to the 95 % quantile of the other rows."""
    if np.isnan(value):
        return Interval.withheld(value)
    each, own, others = float(np.sqrt(level)), values[counted], np.sort(values[~counted])
    of_own, of_others = (None if groups is None else groups[rows] for rows in (counted, ~counted))
    low, high = _quantile_between(others, 0.95, each, len(others) / largest_factor(of_others))
    ends = []
    for threshold, side in ((low, 0), (high, 1)):
        up_to = own <= threshold
        rows = rows_apart(up_to, of_own)
        ends.append(exact_share(float(up_to.mean()) * rows, rows, each)[side])
    return Interval(min(ends[0], value), value, max(ends[1], value))


def _quantile_between(ordered: Floats, share: float, level: float, rows: float) -> tuple[float, float]:
    """Two of the ordered values that have the quantile of their distribution between them; infinite beyond them."""
    n, m = len(ordered), max(int(rows), 1)
    first, last = (_binomial_quantile(side, m, share) for side in ((1 - level) / 2, (1 + level) / 2))
    low, high = int(np.floor(first * n / m)), int(np.ceil((last + 1) * n / m))
    return (
        float(ordered[low - 1]) if low >= 1 else -np.inf,
        float(ordered[high - 1]) if high <= n else np.inf,
    )


def _binomial_quantile(side: float, rows: int, share: float) -> int:
    """Return the fewest hits k with P(Bin(rows, share) <= k) >= side; `scipy.stats` takes a second to load.

    Of two fair coins 0, 1 and 2 heads have 0.25, 0.75 and 1:

    >>> [_binomial_quantile(side, 2, 0.5) for side in (0.2, 0.25, 0.3, 0.9)]
    [0, 0, 1, 2]
    """
    from scipy.special import bdtr, bdtrik

    k: int = min(max(math.ceil(bdtrik(side, rows, share)), 0), rows)
    while k > 0 and bdtr(k - 1, rows, share) >= side:
        k -= 1
    while bdtr(k, rows, share) < side:
        k += 1
    return k


INTERVALS: dict[str, RankingInterval] = {
    "auroc": auroc_interval,
    "aurc": aurc_interval,
    "e_aurc": e_aurc_interval,
    "augrc": augrc_interval,
    "errors_accepted_at_95_correct": errors_accepted_interval,
    "correct_flagged_at_95_errors": correct_flagged_interval,
    "errors_caught_at_10_percent": partial(errors_caught_interval, budget=0.1),
    "errors_caught_at_20_percent": partial(errors_caught_interval, budget=0.2),
}
"""By the name of the metric."""


def _arrays(wrong: ArrayLike, score: ArrayLike) -> tuple[Mask, Floats]:
    return np.asarray(wrong, dtype=np.bool_), np.asarray(score, dtype=np.float64)


def _error_rate(flags: Mask, level: float, groups: Groups) -> Interval:
    return share_interval(flags, groups, level)


def _placements(flags: Mask, values: Floats) -> tuple[Floats, Floats]:
    """(n,) the share of correct rows below each row, and of errors above it, ties half."""
    correct, errors = np.sort(values[~flags]), np.sort(values[flags])
    below = np.searchsorted(correct, values, "left") + np.searchsorted(correct, values, "right")
    upto = np.searchsorted(errors, values, "left") + np.searchsorted(errors, values, "right")
    return below / (2 * len(correct)), 1 - upto / (2 * len(errors))


def _wider(influence: Floats, assumed: float, flags: Mask, groups: Groups) -> float:
    """By what the family's variance has to be multiplied for these rows, or groups of rows."""
    own = None if groups is None else groups[flags]
    count = int(flags.sum()) if own is None else len(np.unique(own))
    seen = widened(of_groups(influence, groups), assumed, largest_factor(groups), count)
    return 1 + _DOUBT * (seen - 1)


def _inverted(value: float, tested: Floats, variances: Floats, level: float) -> Interval:
    """The tested values that lie within z of their own standard errors of the value seen."""
    from scipy.special import ndtri

    z2 = float(ndtri((1 + level) / 2)) ** 2
    kept = tested[(value - tested) ** 2 <= z2 * variances]
    if not len(kept):
        return Interval(value, value, value)
    return Interval(float(min(kept[0], value)), value, float(max(kept[-1], value)))
