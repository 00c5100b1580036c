"""Statistics of the image itself that say how it was taken: too dark, blurred, washed out, noisy, oddly shaped."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.images.decoding import DecodedImage
from uncertainty.images.fine_detail import fine_detail

QUALITY_NAMES = (
    *("brightness", "darkness", "contrast", "blur", "saturation", "entropy", "size", "aspect"),
    *("highlights", "noise", "blocking", "softness"),
)
USUAL = QUALITY_NAMES[:8]
"""Those that `image_quality` reads. The others name what is unusual, see `uncertainty.images.quality_words`."""

LONG_SIDE = 256
_LEVELS = np.arange(256, dtype=np.float64)
_BRIGHTEST = 0.999  # of the pixels are no brighter: a lamp makes a night bright, a dead pixel does not
# The variance of one grey level, which is all the rounding to 8 bits can tell from none.
_SMALLEST_VARIANCE = 1 / 255**2


def quality(image: DecodedImage, small: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
    """Return (12,) float32 statistics in the order of QUALITY_NAMES, finite for every image.

    All but size, aspect and the last three are taken from a copy reduced by a whole factor (the mean of k x k boxes)
    until its long side is at most 256 pixels: that is about what a classifier sees, it is cheap, and it makes files of
    different resolution comparable. An image that was decoded at a part of its size gets a copy as large as the whole
    would get. `small` is that copy, if it is there. Y is the luminance 0.299 R + 0.587 G + 0.114 B in 0..1, Pq its
    q-th percentile.

    ==========  ==================================================  ==========  =====================
    name        formula                                             range       high means
    ==========  ==================================================  ==========  =====================
    brightness  mean of Y                                           0..1        light
    darkness    1 - P95                                             0..1        dark, highlights too
    contrast    P95 - P5                                            0..1        strong contrast
    blur        -ln(variance of the Laplacian of Y + 1/255^2)       -3..11.1    blurred
    saturation  mean of (max - min) / max over R, G, B; 0 if black  0..1        colourful
    entropy     -sum p log2 p over the 256 levels of Y              0..8        much information
    size        log2(width * height) in the file                    0..         many pixels
    aspect      abs(log2(width / height))                           0..         long and narrow
    highlights  99.9th percentile of the largest of R, G and B      0..1        something is bright
    noise       standard deviation, pixel by pixel                  0..         noisy
    blocking    ln(steps at edges of JPEG blocks / other steps)     0..3.9      compressed
    softness    0.7 ln(detail of 4 pixels) - ln(that of 2)          -4..5       blurred
    ==========  ==================================================  ==========  =====================

    Of a multi-band image all is of the picture that is shown, and saturation 0, since its bands are no colours. The
    last three come from the pixels as they were decoded, see `fine_detail`, since a smaller copy has none of them.

    The issues are those that CleanVision names (dark, light, blurry, low information, odd size, odd aspect ratio,
    grayscale); the definitions are our own. The Laplacian is the sum of the four neighbours minus four times the pixel.

    >>> half = np.zeros((4, 4, 3), np.uint8); half[:, 2:] = 255
    >>> quality(DecodedImage(half, width=4, height=2)).astype(float).round(4).tolist()
    [0.5, 0.0, 1.0, -0.0, 0.0, 1.0, 3.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    small = reduced(image) if small is None else small
    grey = Image.fromarray(small).convert("L")
    shares = np.asarray(grey.histogram(), dtype=np.float64) / (grey.width * grey.height)
    low, high = _percentiles(shares)
    saturation, highlights = _channels(small)
    detail = fine_detail(image)
    return np.array(
        [
            shares @ _LEVELS / 255,
            1 - high,
            high - low,
            -math.log(_laplacian_variance(np.asarray(grey)) + _SMALLEST_VARIANCE),
            saturation if image.bands is None else 0.0,  # shown bands are no colours
            _entropy(shares),
            math.log2(image.width * image.height),
            abs(math.log2(image.width / image.height)),
            highlights,
            *detail,
        ],
        dtype=np.float32,
    )


def reduced(image: DecodedImage) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8, the image reduced by a whole factor until its long side is at most 256 pixels.

    >>> reduced(DecodedImage(np.zeros((2, 600, 3), np.uint8), width=600, height=2)).shape
    (1, 200, 3)
    """
    factor = -(-max(image.width, image.height) // LONG_SIDE)
    if factor == 1:
        return image.pixels
    pixels = Image.fromarray(image.pixels)
    if pixels.size == (image.width, image.height):
        return np.asarray(pixels.reduce(factor))
    size = -(-image.width // factor), -(-image.height // factor)
    return np.asarray(pixels.resize(size, Image.Resampling.BOX))


def _percentiles(shares: NDArray[np.float64]) -> list[float]:
    """P5 and P95; half a millionth keeps sums of shares that round to just below them on their level."""
    levels = np.searchsorted(np.cumsum(shares) + 5e-7, (0.05, 0.95))
    return [float(level) / 255 for level in levels]


def _laplacian_variance(grey: NDArray[np.uint8]) -> float:
    if min(grey.shape) < 3:
        grey = np.pad(grey, 1, mode="edge")
    y = grey.astype(np.int16)
    laplacian = y[1:-1, :-2] + y[1:-1, 2:]
    laplacian += y[:-2, 1:-1]
    laplacian += y[2:, 1:-1]
    laplacian -= 4 * y[1:-1, 1:-1]
    values = laplacian.astype(np.float64).ravel()
    # Whole numbers, so both sums are exact; a variance in NumPy takes three passes more.
    return max(0.0, float(values @ values) / values.size - (float(values.sum()) / values.size) ** 2) / 255**2


def _channels(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Saturation, and the percentile of the largest channel."""
    red, green, blue = np.ascontiguousarray(pixels.reshape(-1, 3).T)
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    chroma = (highest - lowest).astype(np.float32)
    saturation = (chroma / np.maximum(highest, 1)).mean(dtype=np.float64)
    up_to = np.cumsum(np.bincount(highest, minlength=256))
    return float(saturation), float(np.searchsorted(up_to, _BRIGHTEST * len(highest))) / 255


def _entropy(shares: NDArray[np.float64]) -> float:
    present = shares[shares > 0]
    return max(0.0, float(-(present * np.log2(present)).sum()))
