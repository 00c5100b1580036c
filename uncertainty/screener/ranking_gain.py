"""What a deeper look at an image gains for the ranking, and where a share of the images gains the most.

A ranking by p_wrong puts an image of score s behind a share u(s) of all. One that is wrong with probability f adds

    K(f, s) = -f ln u(s) - ∫_{u(s)}^1 p(v) / v dv

to AURC, where p(v) is p_wrong at coverage v: the first term is its own, the second what the images behind it save
by standing one place further up. K is least at s = f, so a look that moves an image from `cheap` to `full` gains

    K(full, cheap) - K(full, full) = ∫_{u(cheap)}^{u(full)} (full - p(v)) / v dv >= 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ranking_gains(cheap: Floats, full: Floats, weights: Floats) -> Floats:
    """Return (n,) what AURC loses by a deeper look at each image, 0 or more, in a ranking by `full`.

    `cheap` and `full` are (n,) p_wrong by either evidence, `weights` what each row counts.

    Two images change places. From the first to the second place p_wrong at a coverage of 1 is 0.8, so the one that
    goes there gains (0.8 - 0.8) / 1 / 2 = 0; the other goes back, and gains -(0.1 - 0.8) / 1 / 2:

    >>> found = ranking_gains(np.array([0.1, 0.8]), np.array([0.8, 0.1]), np.ones(2))
    >>> found.round(3).tolist()
    [0.0, 0.35]
    """
    order = np.argsort(full, kind="stable")
    share = weights[order] / weights.sum()
    behind = full[order]
    ones, risks = (np.concatenate([[0.0], (part / share.cumsum()).cumsum()]) for part in (share, share * behind))
    first, last = (np.searchsorted(behind, scores, side="right") for scores in (cheap, full))
    return np.asarray(np.maximum(full * (ones[last] - ones[first]) - (risks[last] - risks[first]), 0.0))


def best_interval(cheap: Floats, gains: Floats, weights: Floats, share: float) -> tuple[float, float] | None:
    """Return (low, high) of `cheap` that holds at most this share of the weight and the most of the gains.

    Ends lie in the middle between two rows, or at 0 and 1. None where no row fits.

    >>> cheap, gains = np.array([0.1, 0.2, 0.4, 0.8]), np.array([0.0, 1.0, 3.0, 1.0])
    >>> low, high = best_interval(cheap, gains, np.ones(4), share=0.5)
    >>> round(low, 2), round(high, 2)
    (0.15, 0.6)
    """
    order = np.argsort(cheap, kind="stable")
    values, weight, gain = cheap[order], weights[order], (weights * gains)[order]
    gaps = np.flatnonzero(values[1:] > values[:-1])
    ends = np.concatenate([[0.0], (values[gaps] + values[gaps + 1]) / 2, [1.0]])
    covered, gained = (np.concatenate([[0.0], of.cumsum()[gaps], [of.sum()]]) for of in (weight, gain))
    reach = np.searchsorted(covered, covered + share * covered[-1] * (1 + 1e-9), side="right") - 1
    best = int(np.argmax(gained[reach] - gained))
    return None if reach[best] == best else (float(ends[best]), float(ends[reach[best]]))
