"""What of an image vanishes in a small copy: its noise, the edges of JPEG blocks, and how soft it is pixel by pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.images.formats.base import DecodedImage

Floats = NDArray[np.float32]

BLOCK = 8
"""Pixels along the side of a JPEG block."""
_LOW = 64  # an image of at most so many rows is read whole
_BANDS, _ROWS = 12, 3  # of a higher one: three rows are what a second difference takes
_SEGMENT = 16
_QUIET = 0.05  # of the segments are at most as noisy as what counts: texture is in some places, noise in all
# The mean of the absolute value of normal noise after the kernel (1 -2 1) x (1 -2 1), for a deviation of 1.
_KERNEL: float = 6 * math.sqrt(2 / math.pi)
_STRONGEST_STEP = 48  # between neighbours; beyond it is the edge of a thing and not of a block
_STEP = 1.0  # grey levels that are added to steps, so that flat images have no blocks
_FINE, _COARSE = 2, 8  # pixels over which second differences are taken
_SHARPEST = 0.001  # of them count: an image with one thing in focus is sharp
_CONTRAST = 0.7


class FineDetail(NamedTuple):
    """What `fine_detail` measures; `softness` and `blocking` are ratios, `noise` a standard deviation in 0..1."""

    noise: float
    blocking: float
    softness: float


def fine_detail(image: DecodedImage) -> FineDetail:
    """Measure what reducing would average, in the green channel of 36 rows (all, up to 64) as they were decoded.

    noise: the standard deviation of noise, in 0..1, from second differences along both sides (Immerkaer 1996, "Fast
    noise variance estimation") in the twentieth of the segments of 16 pixels that is quietest.

    blocking: ln of the mean step between neighbours at the edges of blocks over that one pixel before and after them,
    plus 1 grey level each, along rows, and in low images along columns too, averaged; steps count up to 48. Where
    blocks begin is not asked: their edges are where that is largest. Blocks have 8 pixels, or what is left of them in a
    JPEG decoded at a part of its size. 0: none, or nobody can tell.

    softness: 0.7 ln(d8 + 1) - ln(d2 + 1); d2 and d8 are what one in a thousand second differences over two and over
    eight pixels exceeds, in grey levels. At the sharpest edge of a sharp image they are alike; blurring takes d2 first.
    0.7, not 1, leaves some of the contrast in, by which what is blurred beyond all detail is soft too.

    >>> flat = np.full((32, 32, 3), 99, np.uint8)
    >>> fine_detail(DecodedImage(flat, 32, 32))
    FineDetail(noise=0.0, blocking=0.0, softness=0.0)
    >>> blocks = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4) * 10, 8, 0), 8, 1)[..., None]
    >>> found = fine_detail(DecodedImage(blocks.repeat(3, 2), 32, 32))
    >>> round(found.blocking, 3), round((math.log(11 / 1) + math.log(41 / 1)) / 2, 3)  # steps of 10 across, 40 down
    (3.056, 3.056)
    """
    rows = _bands(image.pixels)
    period = round(BLOCK * max(image.pixels.shape[:2]) / max(image.width, image.height))
    across = rows[:, :, 1:] - rows[:, :, :-1]
    down = rows[:, 1:] - rows[:, :-1]
    blocking = _edges(across, (0, 1), period)
    if len(rows) == 1:
        blocking = (blocking + _edges(down, (0, 2), period)) / 2
    return FineDetail(_noise(down), blocking, _softness(rows))


def _bands(pixels: NDArray[np.uint8]) -> Floats:
    """(bands, rows, w): twelve bands of three rows each, evenly spread; all rows of an image that is low."""
    green, height = pixels[:, :, 1], len(pixels)
    if height <= _LOW:
        return green[None].astype(np.float32)
    first = np.arange(_BANDS) * (height - _ROWS) // (_BANDS - 1)
    return np.asarray(green[first[:, None] + np.arange(_ROWS)], dtype=np.float32)


def _edges(steps: Floats, axes: tuple[int, int], period: int) -> float:
    """ln of the mean step at one place in `period` over that at the others: at the place where it is largest."""
    sizes = np.abs(steps)
    np.minimum(sizes, _STRONGEST_STEP, out=sizes)
    profile = np.add.reduce(sizes, axis=axes)
    blocks = len(profile) // period if period > 1 else 0
    if blocks == 0 or steps.size == 0:
        return 0.0
    phases = np.add.reduce(profile[: blocks * period].reshape(blocks, period), axis=0)
    mean: list[float] = (phases / (steps.size // len(profile) * blocks) + _STEP).tolist()
    around = zip(mean[-1:] + mean[:-1], mean, mean[1:] + mean[:1], strict=True)
    return math.log(max(2 * here / (before + after) for before, here, after in around))


def _noise(down: Floats) -> float:
    second = down[:, 1:] - down[:, :-1]
    both = second[:, :, :-2] + second[:, :, 2:]
    width = both.shape[2]
    if both.size == 0:
        return 0.0
    both -= 2 * second[:, :, 1:-1]
    np.abs(both, out=both)
    segment = min(_SEGMENT, width)
    sums = np.add.reduce(both[:, :, : width // segment * segment].reshape(-1, segment), axis=1)
    place = int(_QUIET * len(sums))
    sums.partition(place)
    quietest: float = float(sums[place]) / segment
    return quietest / (_KERNEL * 255)


def _softness(rows: Floats) -> float:
    fine, coarse = (_sharpest(rows, step) for step in (_FINE, _COARSE))
    return _CONTRAST * math.log(coarse + _STEP) - math.log(fine + _STEP)


def _sharpest(rows: Floats, step: int) -> float:
    if rows.shape[2] <= 2 * step:
        return 0.0
    second = rows[:, :, : -2 * step] + rows[:, :, 2 * step :]
    second -= 2 * rows[:, :, step:-step]
    sizes = np.abs(second).ravel()
    place = int((1 - _SHARPEST) * (len(sizes) - 1))
    sizes.partition(place)
    return float(sizes[place])
