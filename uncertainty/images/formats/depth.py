"""From values of more than 8 bits to 8: by the bits that are used, never by what one image happens to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError

_MOST = 16


def eight_bits(values: NDArray[Any], declared: int, bits: int | None = None) -> tuple[NDArray[np.uint8], str]:
    """Return the high byte of integers of so many bits, and a remark on how many of them are in use.

    `bits` are those that are used where somebody knows, such as 12 for 0..4095 in a 16-bit file, never more than the
    file declares; else all that it declares, at most 16. The high byte, not the nearest value: Pillow does so for PNG
    of 16-bit colours, and all formats should decode alike. Raises ImageError for values below 0 or beyond.

    >>> eight_bits(np.array([0, 255, 256, 65535]), 16)[0].tolist()
    [0, 0, 1, 255]
    >>> eight_bits(np.array([0, 16, 4095]), 16, bits=12)[0].tolist(), eight_bits(np.array([0, 4095]), 16)[1]
    ([0, 1, 255], 'deep:16:12')
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    used = min(bits or _MOST, declared)
    if low < 0 or high >> used:
        advice = "convert it to 8 or 16 bit" if bits is None else f"say more than bits={bits} in the model spec"
        raise ImageError(f"has integer pixels from {low} to {high}, beyond {used} bit; {advice}")
    remark = "" if bits else deep(min(declared, _MOST), high.bit_length())
    return (values >> (used - 8)).astype(np.uint8) if used > 8 else values.astype(np.uint8), remark


def deep(declared: int, used: int) -> str:
    """Return the remark that an image declares and uses so many bits.

    >>> deep(16, 12)
    'deep:16:12'
    """
    return f"deep:{declared}:{used}"


def of_high_bytes(pixels: NDArray[np.uint8], declared: int) -> str:
    """Return the remark on an image of which somebody else kept the high bytes."""
    high = int(pixels.max()) if pixels.size else 0
    return deep(declared, declared - 8 + high.bit_length())
