"""How far from everything known: the odds of an image of no known class, without a single such image to learn from.

Among clean calibration images the share that is at least as far away is a p-value, uniform for images like them. A
density of p-values for images that are not can be had without any: κ p^(κ - 1), which is large near 0 and bets a little
on every distance (a calibrator from p to e, Vovk and Wang 2021). It is the ratio of the density of an unknown image to
that of a clean one, so that

    P(foreign | x) / P(clean | x) = share_foreign / share_clean · mean over distances d of κ p_d^(κ - 1),   κ = 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

KAPPA = 0.1
_STEPS = 2  # ranks that are kept while they double: what lies between is interpolated


@dataclass(frozen=True)
class Tails:
    """Log-odds of an image of no known class against a clean one, from scores that are distances to known-good images.

    Parameters
    ----------
    columns : which of the scores are distances.
    distances : for each of them, in rising order, some that calibration rows have.
    p_values : the share of clean calibration rows that are at least as far, each row and the new image counted.
    beyond : the p-value of an image that is farther than all of them.
    intercept : log of the share of such images over that of clean ones.

    Beyond all of 99 calibration rows p = 0.01 and 0.1 · 0.01^-0.9 = 6.31; at even shares these are the odds:

    >>> far = Tails.of(np.arange(99.0)[:, None], [0], np.ones(99), odds=1.0)
    >>> np.exp(far(np.array([[200.0], [98.0], [0.0]]))).round(2).tolist()
    [6.31, 3.38, 0.1]
    """

    columns: tuple[int, ...]
    distances: tuple[tuple[float, ...], ...]
    p_values: tuple[tuple[float, ...], ...]
    beyond: float
    intercept: float

    @classmethod
    def of(cls, scores: NDArray[np.float64], columns: Sequence[int], weights: NDArray[np.float64], odds: float) -> Self:
        """Learn from clean calibration rows (n, m) that count `weights` (n,); `odds` are those of the shares."""
        total = float(weights.sum()) + 1
        kept = [_kept(_stored(scores[:, k]), weights) for k in columns]
        return cls(
            columns=tuple(columns),
            distances=tuple(tuple(distances.tolist()) for distances, _ in kept),
            p_values=tuple(tuple(((above + 1) / total).tolist()) for _, above in kept),
            beyond=1 / total,
            intercept=float(np.log(odds)),
        )

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) log-odds."""
        each = self.each(scores)
        return np.asarray(self.intercept + np.logaddexp.reduce(each, axis=1) - np.log(each.shape[1]))

    def each(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, d) log of the density ratio by each distance."""
        logs = [
            np.interp(_stored(scores[:, k]), distances, np.log(p_values), right=np.log(self.beyond))
            for k, distances, p_values in zip(self.columns, self.distances, self.p_values, strict=True)
        ]
        return np.asarray(np.log(KAPPA) + (KAPPA - 1) * np.stack(logs, axis=1))


def _kept(distances: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Some of the distances, rising, and what the rows weigh that are at least as far: two for each doubling of it."""
    values, of = np.unique(distances, return_inverse=True)
    above = np.cumsum(np.bincount(of, weights)[::-1])[::-1]
    step = np.floor(_STEPS * np.log2(np.maximum(above, 1)))
    kept = np.append(True, step[1:] != step[:-1])
    kept[-1] = True
    return values[kept], above[kept]


def _stored(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as verdicts are stored, so that what is read from them is as far as it was."""
    return scores.astype(np.float32).astype(np.float64)
