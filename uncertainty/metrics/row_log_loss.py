"""Log loss row by row, and the standard error of a weighted mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def row_losses(p: Floats, wrong: NDArray[np.bool_]) -> Floats:
    """Return the log loss of each row, the last axis of `p`.

    >>> row_losses(np.array([0.5, 0.25]), np.array([True, False])).round(3).tolist()
    [0.693, 0.288]
    """
    return np.asarray(-np.log(np.maximum(np.where(wrong, p, 1 - p), 1e-12)))


def clearly_more(losses: Floats, before: Floats, weights: Floats) -> bool:
    """Whether losses of the same rows are more than before beyond chance: paired t-test, one-sided, at 5 %.

    >>> clearly_more(np.array([0.3, 0.4, 0.5]), np.array([0.1, 0.2, 0.4]), np.ones(3))
    True
    >>> clearly_more(np.array([0.3, 0.4, 0.5]), np.array([0.1, 0.5, 0.4]), np.ones(3))
    False
    """
    from scipy.special import stdtrit

    if (n := len(losses)) < 2:
        return False
    more = losses - before
    unsure = stdtrit(n - 1, 0.95) * np.sqrt(n / (n - 1)) * standard_error(more, weights)
    return bool(np.average(more, weights=weights) > unsure)


def standard_error(values: Floats, weights: Floats) -> Floats:
    """Return that of the weighted mean over the last axis; with equal weights, the standard deviation over √n.

    >>> standard_error(np.array([0.0, 2.0, 0.0, 2.0]), np.ones(4)).item()
    0.5
    """
    away = values - np.average(values, axis=-1, weights=weights)[..., None]
    return np.asarray(np.sqrt(away**2 @ weights**2) / weights.sum())
