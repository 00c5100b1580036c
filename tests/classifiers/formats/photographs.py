"""Real photographs, whole and in parts that leave odd rests, and what differs in grey levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from uncertainty import Preprocess


def photographs() -> list[NDArray[np.uint8]]:
    """Two photographs: whole, upright, narrow and small."""
    found = []
    for whole in load_sample_images().images:
        found += [whole, np.rot90(whole).copy(), whole[:, :301].copy(), whole[100:187, 200:277].copy()]
    return found


def apart(preprocess: Preprocess, pixels: NDArray[np.uint8], expected: Any) -> float:
    """Return the largest difference of an input from the expected one, in grey levels."""
    found, expected = preprocess(pixels), np.asarray(expected)
    assert found.shape == expected.shape
    step = preprocess.range / 255 / np.asarray(preprocess.std)[:, None, None]
    return float((abs(found - expected) / step).max())
