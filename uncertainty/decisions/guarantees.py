"""How far a promise about new images can be kept: finite-sample, exact binomial tails.

The rows must be drawn like the images that the promise is about (exchangeable), and each count once: a binomial tail
means nothing for weighted rows or for several copies of an image. No method mends that.

**Risk of what is accepted.** Rows are accepted from the surest on, and the share of bad rows among the accepted shall
stay at most E with probability C over the draw of the rows. For a threshold that is an order statistic of the scores,
the m rows below it are independent draws of what it accepts, so the number k of bad ones is binomial and
P(Bin(m, E) <= k) is a p-value for "more than E of them are bad". Thresholds are tested one after the other, each at
1 - C, from a sure end outwards until the first that fails (fixed-sequence testing; Angelopoulos et al. 2021, "Learn
then Test"): only the first false one can do harm, so no correction for many tests is due. That argument needs errors
that get no rarer as the score rises.

Where the sequence starts must not depend on what is tested, the labels; it may depend on the scores. The fewest rows
that could pass are a poor start: one chance error among them ends everything. The predicted chances themselves say
where the first test is surest to pass. `sgr` is the alternative of Geifman & El-Yaniv 2017: binary search, and a
Bonferroni correction for its steps.

**Recall.** The share of all bad rows that lie at or above a threshold is monotone in it, so there an order statistic
of the bad rows alone is exact, for any scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Method = Literal["fixed-sequence", "sgr"]
METHODS: tuple[Method, ...] = ("fixed-sequence", "sgr")
"""Of a policy, whose chances are calibrated."""
STARTS = 3
"""Of "several-starts": from one, calibrated chances certify a little more, and chances far too sure nothing."""
_STEPS = 200
_TINY, _SURE = 1e-12, 1e-4


@dataclass(frozen=True)
class Certificate:
    """How many rows can be accepted, from the surest on; 0 where nothing can be certified.

    `bad` of the `accepted` rows are bad. `started` rows were accepted by the first threshold tested, 0 where there
    are fewer than `needed` rows: so many, with no bad one among them, are what the target takes at the very least.
    """

    accepted: int
    bad: int
    started: int
    started_bad: int
    needed: int


def rows_needed(target: float, confidence: float) -> int:
    """Return the fewest rows, without a bad one among them, that certify a share of at most `target`.

    The smallest m with (1 - target)^m <= 1 - C; for 5 % at 95 %, log 0.05 / log 0.95 = 58.4:

    >>> [rows_needed(target, 0.95) for target in (0.05, 0.02, 0.01, 0.005, 0.001)]
    [59, 149, 299, 598, 2995]
    """
    return max(1, math.ceil(math.log1p(-confidence) / math.log1p(-target) - 1e-9))


def certify(
    chance: NDArray[np.floating],
    bad: NDArray[np.bool_],
    target: float,
    confidence: float,
    method: Method | Literal["several-starts"] = "fixed-sequence",
) -> Certificate:
    """Accept as many rows as can be, so that at most `target` of what is accepted is bad, with probability C.

    Parameters
    ----------
    chance : (n,) in 0..1, predicted chance that a row is bad; the lowest are accepted first, ties together.
    bad : (n,) whether it is.
    target, confidence : E and C, both inside (0, 1).
    method : "fixed-sequence", "sgr", or "several-starts" for chances that are not calibrated.

    Returns
    -------
    A Certificate: accept what is below the lowest chance that is not accepted; everything where all rows are.

    Examples
    --------
    For 50 % at 75 %, two rows without a bad one are enough; at three the only bad row has come, and the tail
    P(Bin(3, 0.5) <= 1) = 0.5 is above 0.25:

    >>> certify(np.array([0.1, 0.2, 0.9]), np.array([False, False, True]), target=0.5, confidence=0.75)
    Certificate(accepted=2, bad=0, started=2, started_bad=0, needed=2)

    """
    order = np.argsort(chance, kind="stable")
    chances = np.asarray(chance, dtype=np.float64)[order]
    bad_below = np.concatenate([[0], np.cumsum(bad[order])])
    needed = rows_needed(target, confidence)
    ranks = _ranks(chances, needed)
    if not len(ranks):
        return Certificate(0, 0, 0, 0, needed)
    if method == "several-starts":
        return _several_starts(ranks, bad_below, target, 1 - confidence)
    start = _surest(chances, ranks, target, 1 - confidence)
    search = _fixed_sequence if method == "fixed-sequence" else _sgr
    accepted = search(ranks, start, bad_below[ranks], target, 1 - confidence)
    first = int(ranks[start])
    return Certificate(accepted, int(bad_below[accepted]), first, int(bad_below[first]), needed)


def _ranks(chances: Floats, fewest: int) -> NDArray[np.int64]:
    """Numbers of rows to accept that don't split a tie: evenly from the fewest that could do to all."""
    n = len(chances)
    ends = np.append(np.flatnonzero(np.diff(chances)) + 1, n)
    ends = ends[ends >= max(fewest, 1)]
    if len(ends) <= _STEPS:
        return ends
    steps = np.linspace(ends[0], n, _STEPS)
    return np.unique(ends[np.searchsorted(ends, steps.round().astype(np.int64))])


def _surest(chances: Floats, ranks: NDArray[np.int64], target: float, alpha: float) -> int:
    """Position of the rank at which the chances predict the test to pass most probably.

    So many bad rows as the test bears, at the predicted number (Poisson): with few rows one more bears one more error,
    or none. Where that is all but sure, by standard deviations.
    """
    from scipy.special import bdtr, pdtrc

    expected = np.cumsum(chances)[ranks - 1]
    apart = (target * ranks - expected) / np.sqrt(ranks)
    most = np.arange(int(target * int(ranks[-1])) + 1)
    borne = (bdtr(most, ranks[:, None], target) <= alpha).sum(axis=1) - 1
    fails = np.where(borne < 0, 1.0, pdtrc(np.maximum(borne, 0), np.maximum(expected, _TINY)))
    return int(np.lexsort((-apart, np.maximum(fails, _SURE)))[0])


def _fixed_sequence(ranks: NDArray[np.int64], start: int, bad: NDArray[np.int64], target: float, alpha: float) -> int:
    from scipy.special import bdtr

    passed = bdtr(bad[start:], ranks[start:], target) <= alpha
    count = len(passed) if passed.all() else int(np.argmin(passed))
    return int(ranks[start + count - 1]) if count else 0


def _several_starts(ranks: NDArray[np.int64], bad_below: NDArray[np.int64], target: float, alpha: float) -> Certificate:
    """Fixed sequences from several places, each at its share of alpha; the one that comes farthest counts.

    `started` is where the tail is smallest, so where most speaks for the target.
    """
    from scipy.special import bdtr

    needed = rows_needed(target, 1 - alpha / STARTS)
    if ranks[-1] < needed:
        return Certificate(0, 0, 0, 0, needed)
    wanted = np.geomspace(needed, ranks[-1], STARTS + 1)[:STARTS]
    starts = np.unique(np.searchsorted(ranks, wanted.round()))
    bad, share = bad_below[ranks], alpha / len(starts)
    accepted = max(_fixed_sequence(ranks, int(start), bad, target, share) for start in starts)
    first = int(ranks[starts[np.argmin(bdtr(bad[starts], ranks[starts], target))]])
    return Certificate(accepted, int(bad_below[accepted]), first, int(bad_below[first]), needed)


def _sgr(ranks: NDArray[np.int64], start: int, bad: NDArray[np.int64], target: float, alpha: float) -> int:
    """Binary search over all ranks; `start` is not used, since every step pays for itself."""
    from scipy.special import bdtr

    steps = max(1, math.ceil(math.log2(len(ranks) + 1)))
    low, high, best = 0, len(ranks) - 1, 0
    while low <= high:
        middle = (low + high) // 2
        if bdtr(bad[middle], ranks[middle], target) <= alpha / steps:
            best, low = max(best, int(ranks[middle])), middle + 1
        else:
            high = middle - 1
    return best


def missable(bad: int, recall: float, confidence: float) -> int:
    """Return which of the bad rows, from the lowest score on, may be the first that is caught: 1, 2, …; 0 = none.

    With the j-th lowest as threshold, the share of new bad rows below it is Beta(j, bad - j + 1) at most, so the
    largest j with P(Bin(bad, 1 - recall) <= j - 1) <= 1 - C. Exact whatever the scores are.

    Examples
    --------
    Of 2 bad rows the lower is no promise for half of new ones at 80 % (0.5² = 0.25); of 3 it is (0.125):

    >>> missable(2, 0.5, 0.8), missable(3, 0.5, 0.8)
    (0, 1)

    """
    from scipy.special import bdtr

    return int((bdtr(np.arange(bad), bad, 1 - recall) <= 1 - confidence).sum())


def pooled(classes: NDArray[np.integer], supports: Any, enough: int) -> list[tuple[int, ...]]:
    """Group classes: each with enough support by itself, all others that occur together in one last group.

    Parameters
    ----------
    classes : (n,) classes of the rows; a class is there if a row has it.
    supports : (n,) whether a row counts as support.
    enough : fewest supporting rows for a class of its own.

    Examples
    --------
    >>> pooled(np.array([0, 0, 0, 1, 2, 2]), np.ones(6, dtype=bool), enough=3)
    [(0,), (1, 2)]

    """
    there = np.unique(classes)
    support = [int(np.sum(supports[classes == k])) for k in there]
    own: list[tuple[int, ...]] = [(int(k),) for k, rows in zip(there, support, strict=True) if rows >= enough]
    small = tuple(int(k) for k, rows in zip(there, support, strict=True) if rows < enough)
    return [*own, small] if small else own


def shares_of_confidence(confidence: float, groups: Sequence[Any]) -> float:
    """Return the confidence of each group that makes all groups hold together (Bonferroni): 1 - (1 - C) / groups.

    >>> round(shares_of_confidence(0.9, ["a", "b"]), 6)
    0.95
    """
    return 1 - (1 - confidence) / max(1, len(groups))
