"""A drift alarm for images that arrive one by one: conformal test martingales, valid whenever one looks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats

_BETS = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
_JUMP = 0.01


def conformal_p_values(calibration: NDArray[np.floating], stream: NDArray[np.floating], seed: int = 0) -> Floats:
    """Return (n,) p-values of values that arrive after calibration, independent and uniform while all is exchangeable.

    p = (larger + u · (equal + 1)) / (1 + earlier), over calibration and what has arrived before, u uniform in 0..1
    (Vovk, Gammerman & Shafer 2005, smoothed). Those that arrive join the comparison, else the sampling error of
    calibration would be taken for drift in the long run.

    >>> (conformal_p_values(np.array([1.0, 2.0, 3.0]), np.array([9.0])) < 0.25).tolist()
    [True]
    """
    earlier = sorted(calibration.tolist())
    ties = np.random.default_rng(seed).random(len(stream))
    p_values = np.empty(len(stream))
    for i, value in enumerate(stream.tolist()):
        low, high = bisect_left(earlier, value), bisect_right(earlier, value)
        p_values[i] = (len(earlier) - high + ties[i] * (high - low + 1)) / (len(earlier) + 1)
        insort(earlier, value)
    return p_values


def log_wealth(p_values: Floats) -> Floats:
    """Return (n,) log of the capital of one who bets against uniform p-values, 0 at the start.

    Half is bet on p itself, half on |2 p − 1|, so on values that became larger, smaller, or more or less spread. Each
    half is a simple jumper (Vovk et al. 2021): mixed over stakes e, capital is multiplied by 1 + e (p − ½), and a
    hundredth of it moves to other stakes. While p-values are uniform, capital reaches 1 / level with probability at
    most level, ever (Ville 1939).

    The stakes on p = 1 are worth 1 ± 0.75 and 1 ± 0.375, so nothing on average; then the winners are the richer:

    >>> log_wealth(np.array([1.0, 1.0])).round(2).tolist()
    [0.0, 0.25]
    """
    sides = np.stack([p_values, np.abs(2 * p_values - 1)], axis=1) - 0.5
    capital = np.full((2, len(_BETS)), 0.5 / len(_BETS))
    logs, scale = np.empty(len(p_values)), 0.0
    for i, gain in enumerate(sides):
        capital = (1 - _JUMP) * capital + _JUMP * capital.mean(axis=1, keepdims=True)
        capital *= 1 + _BETS * gain[:, None]
        total = float(capital.sum())
        capital, scale = capital / total, scale + np.log(total)
        logs[i] = scale
    return logs


def first_alarm(
    calibration: NDArray[np.floating], stream: NDArray[np.floating], level: float, seed: int = 0
) -> tuple[int, int] | None:
    """Return (row, column) at which the alarm goes off, or None.

    Calibration is (N, k), the stream (n, k) in order of arrival. Each of the k columns has a martingale, and k / level
    has to be reached, so that clean streams of any length alarm with probability at most `level`.
    """
    found = []
    for column in range(stream.shape[1]):
        logs = log_wealth(conformal_p_values(calibration[:, column], stream[:, column], seed + column))
        reached = np.flatnonzero(logs >= np.log(stream.shape[1] / level))
        if len(reached):
            found.append((int(reached[0]), column))
    return min(found, default=None)
