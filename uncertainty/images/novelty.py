"""Synthetic images of no known class, made from real ones.

Mixed into calibration as always wrong, they teach a screener what foreign images look like to the network, while
colour, contrast and size remain those of the user's own images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.images.corruptions import (
    SEEN,
    Pixels,
    check_kinds,
    check_pixels,
    keyed_generator,
    mean_colour,
    on_reduced_copy,
    rounded,
    window,
)

Invention = Callable[[Pixels, np.random.Generator], Pixels]

_FLAT_SHARE = 1 / 6


def random_foreign(pixels: Pixels, key: str, seed: int, kinds: Sequence[str] | None = None) -> tuple[Pixels, str]:
    """Turn an image into one of no known class, in a way that depends on nothing but its pixels, its key and the seed.

    Takes (h, w, 3) uint8 and returns (pixels of the same shape and type, kind); kind uniform over `kinds` (default:
    all of FOREIGN). Raises InputError for an unknown kind or other pixels.

    >>> stripes = np.repeat(np.uint8([[[10], [200]]]), 3, axis=2)  # two pixels: the only shuffle swaps them
    >>> foreign, kind = random_foreign(stripes, "cat/1.jpg", seed=0, kinds=["patch_shuffle"])
    >>> foreign.tolist(), kind
    ([[[200, 200, 200], [10, 10, 10]]], 'patch_shuffle')
    """
    choice = tuple(FOREIGN if kinds is None else kinds)
    check_kinds(choice, FOREIGN, "foreign image")
    check_pixels(pixels)
    # The prefix keeps these draws apart from those of the same image's damage.
    rng = keyed_generator(f"foreign\n{key}", seed)
    kind = choice[int(rng.integers(len(choice)))]
    return FOREIGN[kind](pixels, rng), kind


def _patch_shuffle(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut into 2x2 to 4x4 patches, none of which stays in its place, each turned upside down or mirrored."""
    (tops, height), (lefts, width) = (_cuts(side, int(rng.integers(2, 5))) for side in pixels.shape[:2])
    corners = [(top, left) for top in tops for left in lefts]
    order = rng.permutation(len(corners))
    shuffled = pixels.copy()
    # Every patch moves to the next place of one random round through all places.
    for source, target in zip(order, np.roll(order, 1), strict=True):
        (top, left), (to_top, to_left) = corners[source], corners[target]
        patch = np.flip(pixels[top : top + height, left : left + width], _FLIPS[int(rng.integers(len(_FLIPS)))])
        shuffled[to_top : to_top + height, to_left : to_left + width] = patch
    return shuffled


def _phase_scramble(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn the phases of the spectrum by random angles, the same in all channels, and stretch to the old range."""
    return on_reduced_copy(pixels, lambda copy: _scrambled(copy, rng))


def _extreme_crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Enlarge a piece of a fifth to a quarter of each side, anywhere."""
    share = rng.uniform(0.2, 0.25)
    (top, height), (left, width) = (window(side, share, rng) for side in pixels.shape[:2])
    piece = Image.fromarray(pixels[top : top + height, left : left + width])
    return np.array(piece.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BICUBIC))


def _noise_field(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a smooth random field with the image's channel means and covariances; one in six is flat."""
    if rng.random() < _FLAT_SHARE:
        flat = np.empty_like(pixels)
        flat[:] = mean_colour(pixels)
        return flat
    return on_reduced_copy(pixels, lambda copy: _field_like(copy, rng))


FOREIGN: Mapping[str, Invention] = MappingProxyType(
    {
        "patch_shuffle": _patch_shuffle,
        "phase_scramble": _phase_scramble,
        "extreme_crop": _extreme_crop,
        "noise_field": _noise_field,
    }
)

_FLIPS = (0, 1, (0, 1))


def _cuts(side: int, count: int) -> tuple[list[int], int]:
    """Starts and length of equally long pieces that cover the side, overlapping where it is not divisible."""
    count = min(count, side)
    length = -(-side // count)
    return [round(start) for start in np.linspace(0, side - length, count)], length


def _scrambled(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    from scipy.fft import irfft2, rfft2

    low, high = int(pixels.min()), int(pixels.max())
    if low == high:
        return pixels.copy()
    sides = pixels.shape[:2]
    # The spectrum of a real field has the symmetries that keep the result real.
    turn = rfft2(rng.standard_normal(sides).astype(np.float32))
    turn /= np.abs(turn)
    turn[0, 0] = 1
    values = irfft2(rfft2(_channels(pixels)) * turn, s=sides)
    values *= (high - low) / np.ptp(values)
    values += low - values.min()
    return _pixels(values)


def _field_like(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    channels = _channels(pixels).reshape(3, -1)
    mean, deviation = channels.mean(axis=1, keepdims=True), channels.std(axis=1, keepdims=True)
    channels -= mean
    # The root of the covariance gives grey images grey fields.
    values, vectors = np.linalg.eigh(channels @ channels.T / np.float32(channels.shape[1]))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    field = root @ _smooth_noise(pixels.shape[0], pixels.shape[1], rng).reshape(3, -1)
    field -= field.mean(axis=1, keepdims=True)
    spread = field.std(axis=1, keepdims=True)
    field *= np.divide(deviation, spread, out=np.zeros_like(spread), where=spread > 0)
    return _pixels((field + mean).reshape(3, *pixels.shape[:2]))


def _channels(pixels: Pixels) -> NDArray[np.float32]:
    """(h, w, 3) to (3, h, w), whose sums along a channel are quick and exact enough in float32."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)


def _pixels(channels: NDArray[np.float32]) -> Pixels:
    return np.ascontiguousarray(rounded(channels).transpose(1, 2, 0))


def _smooth_noise(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(3, height, width) normal noise whose grain lies between one pixel that is seen and half of the short side."""
    short = min(height, width)
    finest = max(1.0, short / SEEN)
    grain = finest * max(1.0, short / 2 / finest) ** rng.random()
    cells = (max(2, round(height / grain)), max(2, round(width / grain)))
    channels = [Image.fromarray(rng.standard_normal(cells, dtype=np.float32)) for _ in range(3)]
    enlarged = [channel.resize((width, height), Image.Resampling.BICUBIC) for channel in channels]
    return np.stack([np.asarray(channel) for channel in enlarged])
