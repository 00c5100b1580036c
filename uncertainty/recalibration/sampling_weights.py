"""What labelled rows count when they were not drawn evenly: weights of old rows and of new ones, so that both together
stand for the images that arrive.

Every image had a chance to be labelled: a new row counts in proportion to 1 / chance (Horvitz and Thompson 1952), the
old ones as before. Some had none, such as unflagged images where only flagged ones are looked at: no weight can make
others speak for them. Then the batch falls into two strata. Old and new rows speak for the one with labels, old rows
alone for the other, and each stratum gets its share in the batch (post-stratification).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.metrics.intervals import Interval, exact_share

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_NOT_AT_RANDOM = 1e-4
_TWO_SIDED = 1.959964


@dataclass(frozen=True, eq=False)
class RowWeights:
    """What each row counts.

    Parameters
    ----------
    old : (n,) of the calibration rows from before.
    new : (m,) of the rows labelled now; together they count as many rows as are worth as much, all drawn evenly.
    unseen : which stratum of the batch has no labels, True for the upper one (flagged); None where both have.
    even : whether the new rows all had the same chance.

    """

    old: Floats
    new: Floats
    unseen: bool | None
    even: bool


def chances(upper: Mask, labelled: Mask) -> Floats:
    """Return (m,) the chance that each labelled row had: the labelled share of its stratum, drawn at random inside.

    Two flagged rows, both labelled, and four others of which one was:

    >>> upper = np.array([True, True, False, False, False, False])
    >>> chances(upper, np.array([True, True, True, False, False, False])).tolist()
    [1.0, 1.0, 0.25]
    """
    share = np.empty(len(upper))
    for stratum in (True, False):
        own = upper == stratum
        share[own] = labelled[own].mean() if own.any() else 1.0
    return share[labelled]


def row_weights(old: Floats, old_upper: Mask, upper: Mask, labelled: Mask, chance: Floats) -> RowWeights:
    """Return what each row counts.

    Parameters
    ----------
    old, old_upper : (n,) what the old rows count so far, and their stratum: whether they would be flagged.
    upper, labelled : (N,) stratum of each image of the batch, and whether it has a label.
    chance : (m,) in (0, 1], the chance of each labelled row to be labelled.

    Raises InputError where no old row stands for the stratum without labels.

    Half of the batch is flagged and labelled. One old row stands for the other half, so both halves count 1:

    >>> flag = np.array([True, False])
    >>> found = row_weights(np.ones(2), flag, flag, flag, np.ones(1))
    >>> found.old.tolist(), found.new.tolist(), found.unseen
    ([0.5, 1.0], [0.5], False)
    """
    even = bool((chance == chance[0]).all())
    new = np.ones(len(chance)) if even else 1 / chance
    new *= new.sum() / (new**2).sum()  # Kish: so many rows drawn evenly would tell as much
    unseen = [stratum for stratum in (True, False) if (upper == stratum).any() and (upper[labelled] != stratum).all()]
    if not unseen:
        return RowWeights(old, new, None, even)
    other = old_upper == unseen[0]
    if not old[other].sum() > 0:
        what = "flagged" if unseen[0] else "unflagged"
        raise InputError(f"no {what} image has a label, and calibration has none to stand for them; label some of them")
    share = float((upper != unseen[0]).mean())
    factor = share / (1 - share) * old[other].sum() / (old[~other].sum() + new.sum())
    return RowWeights(np.where(other, old, factor * old), factor * new, unseen[0], even)


def estimate(wrong: Mask, weights: Floats, drawn: Floats | float = 1.0) -> Interval:
    """Return the weighted error rate (m,) with a 95 % interval that is never of zero width.

    Rows of nearly equal weight (within a factor of two) are a stratum: its rate has the interval of Clopper and
    Pearson, for so many rows of equal weight as tell as much (Kish 1965). The strata, and what their sizes may be off,
    are recovered together (Zou and Donner 2008): half² = Σ (share of stratum)² (rate - end)² + Σ weight² drawn (rate of
    the stratum - rate)² / (Σ weight)². `drawn` is 1 - chance, 0 where the sizes are known.

    Without an error among twenty even rows the rate may be as high as 1 - 0.025^(1/20):

    >>> found = estimate(np.zeros(20, dtype=bool), np.ones(20))
    >>> found.low, found.value, round(found.high, 4)
    (0.0, 0.0, 0.1684)
    """
    rate, whole = float(np.average(wrong, weights=weights)), float(weights.sum())
    stratum = np.floor(np.log2(weights / weights.min()) + 1e-9).astype(np.int64)
    below = above = 0.0
    rates = np.empty(len(weights))
    for k in np.unique(stratum):
        own = weights[stratum == k]
        rates[stratum == k] = share = float(np.average(wrong[stratum == k], weights=own))
        rows = own.sum() ** 2 / (own @ own)
        low, high = exact_share(share * rows, rows)
        part = (own.sum() / whole) ** 2
        below, above = below + part * (share - low) ** 2, above + part * (high - share) ** 2
    sizes = float((drawn * (weights * (rates - rate)) ** 2).sum()) / whole**2 * _TWO_SIDED**2
    return Interval(
        max(rate - float(np.sqrt(below + sizes)), 0.0), rate, min(rate + float(np.sqrt(above + sizes)), 1.0)
    )


@dataclass(frozen=True)
class DesignEstimate:
    """Accuracy of all images that had a chance to be labelled, with a 95 % interval; no model and no p_wrong behind it.

    `labels` of them were labelled, `by_chance` of those by a draw; they stand for `stand_for` images. Without a draw
    they stand for themselves alone.
    """

    accuracy: float
    low: float
    high: float
    labels: int
    by_chance: int
    stand_for: float


def design_estimate(wrong: Mask, chance: Floats) -> DesignEstimate:
    """Estimate accuracy from labels (m,) of images that were chosen with chances (m,) in (0, 1].

    Images of chance 1 count as they are; the others are weighed by 1 / chance, and stand for Σ 1 / chance images (the
    ratio estimator of Hájek 1971, in strata), with the interval of `estimate`, which is a little too wide for a draw
    without putting back. Raises InputError for a chance out of range.

    Two errors that were sure to be listed, and one in four of the rest, of which none is wrong: 2 of 2 + 2 · 4 images.

    >>> found = design_estimate(np.array([True, True, False, False]), np.array([1.0, 1.0, 0.25, 0.25]))
    >>> found.accuracy, found.stand_for, found.by_chance, round(found.high, 3)
    (0.8, 10.0, 2, 0.8)
    """
    if bad := [value for value in chance.tolist() if not 0 < value <= 1]:
        raise InputError(f"a chance to be labelled is {bad[0]:g}; it must be above 0 and at most 1")
    drawn = chance < 1
    sure, rest = int((~drawn).sum()), float((1 / chance[drawn]).sum())
    whole = max(sure + rest, 1.0)
    found = Interval(0.0, 0.0, 0.0)
    if drawn.any():
        # Of one chance the sizes are known; of several, how many were drawn with each is chance too.
        known = np.ptp(chance[drawn]) == 0
        found = estimate(wrong[drawn], 1 / chance[drawn], 0.0 if known else 1 - chance[drawn])
    low, rate, high = ((int(wrong[~drawn].sum()) + rest * end) / whole for end in (found.low, found.value, found.high))
    return DesignEstimate(1 - rate, 1 - high, 1 - low, len(wrong), int(drawn.sum()), sure + rest)


def upper_part(p_wrong: Floats, labelled: Mask) -> float | None:
    """Return the lowest p_wrong of the labelled rows where they are all rows from there on; None where they are not.

    That is how labels come that follow `uncertainty rank`.

    >>> upper_part(np.array([0.1, 0.7, 0.9]), np.array([False, True, True]))
    0.7
    """
    cut = float(p_wrong[labelled].min())
    return cut if ((p_wrong >= cut) == labelled).all() and not labelled.all() else None


def chosen_by_score(p_wrong: Floats, upper: Mask, labelled: Mask) -> bool | None:
    """Return the stratum inside which labelled rows differ in p_wrong from the others; None where none does.

    Mann-Whitney test at 0.01 %: so seldom are rows that were drawn at random taken for chosen ones.
    """
    for stratum in (True, False):
        have, lack = (p_wrong[(upper == stratum) & rows] for rows in (labelled, ~labelled))
        if len(have) and len(lack) and np.ptp(p_wrong[upper == stratum]) > 0:
            from scipy.stats import mannwhitneyu  # takes a second to load, and is seldom asked

            p_value = mannwhitneyu(have, lack, method="asymptotic").pvalue
            if p_value < _NOT_AT_RANDOM:
                return stratum
    return None


def off(upper: Mask, labelled: Mask, chance: Floats) -> tuple[int, int] | None:
    """Return (what the labelled rows stand for, how many there are) where chances and counts contradict each other.

    The labelled rows stand for Σ 1 / chance images of the strata that they are in, give or take four standard errors.

    >>> off(np.ones(100, dtype=bool), np.arange(100) < 20, np.ones(20))
    (20, 100)
    """
    there = int(np.isin(upper, np.unique(upper[labelled])).sum())
    stand, spread = float((1 / chance).sum()), float(np.sqrt(((1 - chance) / chance**2).sum()))
    return (round(stand), there) if abs(stand - there) > 4 * spread + 0.5 else None
