"""When further review is not worth it: what the next images would yield, by p_wrong and by what was found so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEXT = 50
"""So many images ahead are judged by."""
LAST = 100
"""So many answered images say how far p_wrong is right here; what was found long before tells of other images."""
FEWEST = 20
"""Answered images below which nothing is said."""
MOST = 10
"""So many errors of calibration count at most: images that arrive later need not be wrong as often as p_wrong says."""
_SURE = 0.95


@dataclass(frozen=True)
class Outlook:
    """What the next n images of the ranking hold: the share of errors, with a limit it lies below 95 times in 100.

    `floor` is the share from which on a look is worth it.
    """

    n: int
    share: float
    high: float
    floor: float

    @property
    def stop(self) -> bool:
        """Whether further review is not worth it."""
        return self.high < self.floor or not self.n

    def words(self) -> str:
        """Say it in a sentence."""
        if not self.n:
            return "Every image of the ranking has an answer."
        images = f"the next {self.n} images" if self.n > 1 else "the next image"
        told = f"of {images} about {self.share:.1%} should be wrong, and hardly more than {self.high:.1%}"
        if self.stop:
            return f"Further review is not worth it: {told}, below your line of {self.floor:.1%}."
        return f"Worth going on: {told}; your line is {self.floor:.1%}."


def outlook(
    ahead: Floats, answered: Floats, wrong: NDArray[np.bool_], floor: float, calibration_errors: int | None = None
) -> Outlook | None:
    """Return what is ahead; None where fewer than 20 images are answered and some are left.

    Parameters
    ----------
    ahead : p_wrong of the next images of the ranking, in their order.
    answered, wrong : p_wrong of the answered images in the order of their answers, and whether they are wrong.
    floor : share of errors from which on a look is worth it.
    calibration_errors : how many errors p_wrong was learnt from; None: not known, and it counts as one.

    Notes
    -----
    How many times as many images are wrong as p_wrong says is a factor f. Calibration on E errors, of which 10 count
    at most, knows it as Gamma(E, E): 1, give or take 1 / √E, as in `expected_yield`. The last 100 answers, with k
    errors where Σ p were expected, make it Gamma(E + k, E + Σ p). The next 50 images have a share of f · mean p; `high`
    is its 95 % quantile.

    Thirty answers of p = 0.1 with 3 errors after 10 of calibration: f is Gamma(13, 13), and its mean 1:

    >>> found = outlook(np.full(60, 0.02), np.full(30, 0.1), np.arange(30) < 3, 0.05, 10)
    >>> found.n, round(found.share, 3), round(found.high, 4), found.stop
    (50, 0.02, 0.0299, True)

    """
    from scipy.stats import gamma

    ahead = ahead[:NEXT]
    if not len(ahead):
        return Outlook(0, 0.0, 0.0, floor)
    if len(answered) < FEWEST:
        return None
    known = min(max(calibration_errors or 0, 1), MOST)
    shape, rate = known + int(wrong[-LAST:].sum()), known + float(answered[-LAST:].sum())
    share = float(ahead.mean())
    return Outlook(
        len(ahead), min(share * shape / rate, 1.0), min(share * float(gamma.ppf(_SURE, shape)) / rate, 1.0), floor
    )
