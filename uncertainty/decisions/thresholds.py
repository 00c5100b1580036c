"""From `p_wrong` to a flag. An image is flagged where its p_wrong reaches the threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError

EVERYTHING = 0.0
"""The threshold that every p_wrong reaches."""
NOTHING = float(np.nextafter(np.float32(1), np.float32(2)))
"""The threshold that no p_wrong reaches."""


def budget_threshold(p_wrong: NDArray[np.floating], weights: NDArray[np.floating], budget: float) -> float:
    """Return the smallest threshold that flags at most `budget` of the calibration weight.

    Decided on calibration rows, out of fold, and applied to each image alone; so one image gets the verdict that it
    would get inside any batch, and the flagged share of other images may differ from the budget.

    Parameters
    ----------
    p_wrong : (n,) in 0..1, of calibration rows, out of fold.
    weights : (n,) positive, what each row counts.
    budget : share of images a person can look at, in 0..1; 1 flags images surer than any in calibration, too.

    Returns
    -------
    A float32 value, as p_wrong is compared in float32; just above the largest p_wrong where nothing may be flagged.

    Examples
    --------
    >>> import numpy as np
    >>> budget_threshold(np.array([0.1, 0.2, 0.4, 0.8]), np.ones(4), budget=0.5)
    0.4000000059604645

    """
    if not 0 <= budget <= 1:
        raise InputError(f"budget is {budget}; it must be a share between 0 and 1")
    if budget == 1:
        return EVERYTHING
    values, positions = np.unique(p_wrong.astype(np.float32), return_inverse=True)
    # bincount sums in float64, whatever the weights are; the total must be summed alike.
    flagged = np.bincount(positions, weights)[::-1].cumsum()[::-1]
    affordable = np.flatnonzero(flagged <= flagged[0] * (budget + 1e-9))
    if len(affordable):
        return float(values[affordable[0]])
    return just_above(values[-1])


def just_above(p_wrong: np.floating) -> float:
    """Return the next float32, so that this p_wrong is not flagged and every larger one is."""
    return float(np.nextafter(np.float32(p_wrong), np.float32(np.inf)))


def risk_on_curve(chance: NDArray[np.floating], bad: NDArray[np.bool_], target: float) -> int:
    """Return the most rows, lowest chance first and ties together, of which at most a share `target` is bad.

    Read off the risk-coverage curve (of flagged rows: the precision-recall curve); a promise for new rows it is not.

    >>> risk_on_curve(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True]), target=0.34)
    3
    """
    order = np.argsort(chance, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(chance[order])) + 1, len(order))
    risk_is_low = np.cumsum(bad[order])[ends - 1] <= target * ends + 1e-9
    return int(ends[risk_is_low].max(initial=0)) if len(order) else 0
