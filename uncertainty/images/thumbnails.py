"""Small grey copies of images, by which the same picture is known again though it is lighter, smaller or compressed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL_SIDE = 16
_SIDE_FIRST = 256
_FLAT = 1.0  # grey levels, root of the sum of squares: less is rounding


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (256,) uint8: the luminance of (h, w, 3) uint8 pixels in 16 x 16 boxes of the mean, row by row.

    >>> half = np.zeros((32, 32, 3), np.uint8); half[16:] = 200
    >>> thumbnail(half).reshape(16, 16)[:, 0].tolist() == [0] * 8 + [200] * 8
    True
    """
    factor = max(1, min(pixels.shape[:2]) // _SIDE_FIRST)
    image = Image.fromarray(pixels)
    grey = (image if factor == 1 else image.reduce(factor)).convert("L")
    small = grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8).ravel()


def details(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (m, 256) float32 rows of length 1 that do not change when (m, 256) thumbnails get lighter or of higher
    contrast: each box minus the mean of the 3 x 3 boxes around it, scaled. A flat image is all zeros, like no other.

    >>> grey = np.random.default_rng(0).integers(0, 100, (1, 256)).astype(np.uint8)
    >>> bool(np.allclose(details(grey), details(2 * grey + 10), atol=1e-6))
    True
    """
    boxes = thumbnails.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE).astype(np.float32)
    edged = np.pad(boxes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = edged[:, :-2] + edged[:, 1:-1] + edged[:, 2:]
    around = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    fine = (boxes - around).reshape(-1, THUMBNAIL_SIDE**2)
    fine -= fine.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(fine).sum(axis=1, keepdims=True))
    return np.asarray(np.where(length > _FLAT, fine / np.maximum(length, _FLAT), 0), dtype=np.float32)
