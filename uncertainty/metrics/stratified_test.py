"""Does a group of images have more errors than the rest, also when each class is compared with itself alone?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError

SMALLEST_P = 1e-15
"""Probabilities below this are lost in rounding; a p-value is never given as less."""
_SIGMAS = 12
_LOST = 1e-20
_TIE = 1 + 1e-7


@dataclass(frozen=True, eq=False)
class Strata:
    """For each stratum (k,): rows, errors among them, rows inside the group, and errors inside the group."""

    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    inside: NDArray[np.int64]
    both: NDArray[np.int64]

    @classmethod
    def of(cls, inside: NDArray[np.bool_], wrong: NDArray[np.bool_], strata: NDArray[np.int64]) -> Strata:
        """Count rows by stratum, whose numbers start at 0.

        >>> Strata.of(np.array([True, False, True]), np.array([True, True, False]), np.array([0, 0, 1])).both.tolist()
        [1, 0]
        """
        if not inside.shape == wrong.shape == strata.shape:
            raise InputError(f"{inside.shape}, {wrong.shape} and {strata.shape} rows; give one value of each for a row")
        k = int(strata.max(initial=-1)) + 1
        masks = (np.ones(len(strata), dtype=bool), wrong, inside, wrong & inside)
        return cls(*(np.bincount(strata[mask], minlength=k) for mask in masks))

    def exact_p(self) -> float:
        """Two-sided exact p-value that, within each stratum, errors fall inside and outside the group alike.

        Given how many rows and errors each stratum has, the errors inside are hypergeometric; their sum over strata is
        compared with the one seen, and the probabilities of all sums no likelier are added up (Gart 1970; one stratum:
        Fisher's exact test). Rows of a stratum that is all wrong, all right, all inside or all outside say nothing.

        Three of three errors are inside a group of three of six, which has 1 chance in 20; so has none of three:

        >>> round(Strata(*(np.array([n]) for n in (6, 3, 3, 3))).exact_p(), 9)
        0.1
        """
        start, probability = 0, np.ones(1)
        logs = _log_factorials(int(self.rows.max(initial=0)))
        for rows, errors, inside in zip(self.rows.tolist(), self.errors.tolist(), self.inside.tolist(), strict=True):
            first, part = _hypergeometric(rows, errors, inside, logs)
            start += first
            if len(part) > 1:
                probability = np.convolve(probability, part)
                kept = np.flatnonzero(probability > _LOST * probability.max())
                start += int(kept[0])
                probability = probability[kept[0] : kept[-1] + 1]
        seen = int(self.both.sum()) - start
        if not 0 <= seen < len(probability):
            return SMALLEST_P
        p = probability[probability <= probability[seen] * _TIE].sum() / probability.sum()
        return float(min(max(p, SMALLEST_P), 1.0))

    def odds_ratio(self) -> float | None:
        """Mantel-Haenszel common odds ratio Σ ad/n / Σ bc/n: above 1 = more errors inside; None where it is 0/0 or x/0.

        Inside 2 wrong and 1 right, outside 1 wrong and 2 right: (2 · 2) / (1 · 1):

        >>> Strata(*(np.array([n]) for n in (6, 3, 3, 2))).odds_ratio()
        4.0
        """
        wrong_in, right_in = self.both, self.inside - self.both
        wrong_out = self.errors - self.both
        right_out = self.rows - self.inside - wrong_out
        total = np.maximum(self.rows, 1)
        below = float((right_in * wrong_out / total).sum())
        return float((wrong_in * right_out / total).sum()) / below if below else None

    def expected_rate(self) -> float | None:
        """Error rate of the group if each of its rows were wrong as often as its stratum is over all; None if empty.

        >>> Strata(*map(np.array, ([10, 10], [1, 5], [5, 5], [0, 0]))).expected_rate()
        0.3
        """
        inside = int(self.inside.sum())
        rates = self.errors / np.maximum(self.rows, 1)
        return float(self.inside @ rates) / inside if inside else None


def _log_factorials(n: int) -> NDArray[np.float64]:
    return np.append(0.0, np.cumsum(np.log(np.arange(1, n + 1))))


def _hypergeometric(rows: int, errors: int, inside: int, logs: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """The first count that matters, and the probabilities from it on, of so many errors inside."""
    low, high = max(0, errors + inside - rows), min(errors, inside)
    if low == high:
        return low, np.ones(1)
    mean = errors * inside / rows
    width = _SIGMAS * math.sqrt(mean * (1 - errors / rows) * (rows - inside) / (rows - 1)) + _SIGMAS
    first, last = max(low, int(mean - width)), min(high, int(mean + width) + 1)
    count = np.arange(first, last + 1)
    # Of C(errors, count) C(rows - errors, inside - count) only what changes with the count.
    choices = -logs[count] - logs[errors - count] - logs[inside - count] - logs[rows - errors - inside + count]
    p = np.exp(choices - choices.max())
    return first, np.asarray(p / p.sum())


def wilson(errors: int, rows: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share p, (0, 1) for no rows (Wilson 1927).

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), with z = 1.96 for 95 %; of none in ten, z²/(10 + z²) at most:

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    from scipy.special import ndtri

    if rows == 0:
        return 0.0, 1.0
    z2, share = float(ndtri((1 + level) / 2)) ** 2, errors / rows
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = math.sqrt(z2 * (share * (1 - share) / rows + z2 / (4 * rows**2))) / (1 + z2 / rows)
    return max(0.0, middle - half), min(1.0, middle + half)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected so that all true null hypotheses survive with the wanted probability (Holm 1979).

    Sorted: 0.01 · 3, 0.02 · 2 (not below the one before), 0.5 · 1:

    >>> holm(np.array([0.02, 0.5, 0.01])).round(3).tolist()
    [0.04, 0.5, 0.03]
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected
