"""How often the review desk says too soon that further review is not worth it: python -m benchmarks.review_stopping."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from uncertainty.service.desk.stopping import FEWEST, NEXT, outlook

FLOOR, IMAGES, ERRORS, STEP = 0.05, 1000, 60, 5
KINDS = ((0.4, 6.0), (0.3, 2.0), (0.2, 10.0))
"""Beta distributions that p_wrong is drawn from."""
FACTORS = (0.7, 1.0, 1.5, 2.0)
"""How many times as many images are wrong as p_wrong says."""


def stopped(p: NDArray[np.float64], wrong: NDArray[np.bool_]) -> int:
    """Return after how many images, in the order of p_wrong, the rule says stop."""
    for k in range(FEWEST, len(p), STEP):
        found = outlook(p[k:], p[:k], wrong[:k], FLOOR, ERRORS)
        if found is not None and found.stop:
            return k
    return len(p)


def one(rng: np.random.Generator, kind: tuple[float, float], factor: float) -> tuple[bool, int, int]:
    """Return whether a simulated review stops too soon, after how many images, and after how many it should."""
    p = -np.sort(-rng.beta(*kind, IMAGES))
    true = np.clip(factor * p, 0, 1)
    at = stopped(p, rng.random(IMAGES) < true)
    ahead = np.convolve(true, np.full(NEXT, 1 / NEXT), "valid")
    return bool(ahead[min(at, len(ahead) - 1)] >= FLOOR), at, int(np.argmax(ahead < FLOOR))


def main(draws: int = 200) -> None:
    """Print a line for each factor and kind."""
    for factor in FACTORS:
        for kind in KINDS:
            rng = np.random.default_rng(0)
            soon, at, ideal = np.mean([one(rng, kind, factor) for _ in range(draws)], axis=0)
            sys.stdout.write(
                f"{factor} times, beta{kind}: too soon {soon * draws:.0f} of {draws}, after {at:.0f} images, "
                f"ideal {ideal:.0f}\n"
            )


if __name__ == "__main__":
    main()
