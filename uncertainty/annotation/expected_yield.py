"""What a batch is expected to yield before anybody labels it, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.figures import number_of

_TWO_SIDED = 1.959964


@dataclass(frozen=True)
class Yield:
    """Errors expected among n images, with a 95 % interval, and among all candidates.

    The interval covers chance (each image is wrong with its p_wrong) and, where the number of errors that p_wrong was
    learnt from is known, how far off p_wrong may be as a whole. It does not cover drift: that calibration no longer
    speaks for these images.
    """

    n: int
    errors: float
    low: float
    high: float
    candidates: int
    of_all: float
    calibration_errors: int | None

    @property
    def share(self) -> float:
        """Expected share of errors in the batch; 0 for an empty one."""
        return self.errors / self.n if self.n else 0.0

    def __str__(self) -> str:
        covers = "chance" if self.calibration_errors is None else "chance and calibration"
        these = "this one" if self.n == 1 else f"these {self.n}"
        return (
            f"expected among {these}: {number_of(round(self.errors), 'error')} "
            f"(95 % interval {self.low:.0f} to {self.high:.0f}, for {covers}), of {self.of_all:.0f} among all "
            f"{number_of(self.candidates, 'candidate')}"
        )


def expected_yield(
    p_wrong: NDArray[np.floating], of_all: NDArray[np.floating], calibration_errors: int | None = None
) -> Yield:
    """Return what a batch of p_wrong (n,) is expected to yield; `of_all` (m,) are those of all candidates.

    Mean M = Σ p. Variance Σ p (1 − p), that of a Poisson-binomial count, + M² / E for calibration: a rate learnt from E
    errors is off by a factor of about 1 ± 1 / √E. The interval is M ± 1.96 standard deviations, cut at 0 and n. Without
    errors in calibration it is 0 to n.

    A hundred images of 0.2, ten errors in calibration: variance 16 + 400 / 10, and 20 ± 1.96 · √56.

    >>> found = expected_yield(np.full(100, 0.2), np.full(300, 0.2), 10)
    >>> round(found.errors, 3), round(found.of_all, 3), round(found.low, 3), round(found.high, 3)
    (20.0, 60.0, 5.333, 34.667)
    """
    p = np.asarray(p_wrong, dtype=np.float64)
    n, mean = len(p), float(p.sum())
    variance = float((p * (1 - p)).sum())
    if calibration_errors is not None and n:
        variance += mean**2 / calibration_errors if calibration_errors else np.inf
    half = _TWO_SIDED * float(np.sqrt(variance))
    whole = float(np.asarray(of_all, dtype=np.float64).sum())
    low, high = max(0.0, mean - half), min(float(n), mean + half)
    return Yield(n, mean, low, high, len(of_all), whole, calibration_errors)


def should_stop(found: Yield, floor: float) -> bool:
    """Whether the expected share of errors in a batch lies below a floor.

    >>> should_stop(expected_yield(np.array([0.1, 0.02]), np.array([0.1, 0.02])), 0.1)
    True
    """
    return found.share < floor
