"""Image damage of graded strength, mixed into calibration and used to test how far a screener can be trusted.

Strengths are relative to the image's size, and what is finer than a classifier would see is made coarser: noise on a
12-megapixel photograph has a grain that survives the reduction to 224 pixels.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from uncertainty.errors import InputError

Pixels = NDArray[np.uint8]
Corruption = Callable[[Pixels, float, np.random.Generator], Pixels]

# What a usual classifier sees of the short side; finer damage would vanish before it looks.
SEEN = 224
_MILDEST = 0.2


def corrupt(pixels: Pixels, kind: str, severity: float, seed: int) -> Pixels:
    """Return a damaged copy of (h, w, 3) uint8 pixels, of the same shape.

    `severity` in (0, 1]: near 0 hardly visible, 1 strong, though a person would still recognise most images. Equal
    arguments give equal pixels. Raises InputError for an unknown kind, a severity out of range, or other pixels.

    >>> corrupt(np.full((1, 1, 3), 200, np.uint8), "darkness", 1.0, seed=0).tolist()
    [[[30, 30, 30]]]
    """
    check_kinds([kind], CORRUPTIONS, "damage")
    if not 0 < severity <= 1:
        raise InputError(f"severity is {severity!r}; it must lie above 0 and at most at 1")
    check_pixels(pixels)
    return CORRUPTIONS[kind](pixels, float(severity), np.random.default_rng(seed))


def random_corruption(
    pixels: Pixels, key: str, seed: int, kinds: Sequence[str] | None = None
) -> tuple[Pixels, str, float]:
    """Damage an image in a way that depends on nothing but its key and the seed.

    Returns (damaged pixels, kind, severity); kind uniform over `kinds` (default: all), severity uniform in 0.2..1, both
    drawn from BLAKE2b of seed and key, so neither the order of images nor the number of them matters.

    >>> grey = np.full((8, 8, 3), 90, np.uint8)
    >>> damaged, kind, severity = random_corruption(grey, "cat/1.jpg", seed=0, kinds=["contrast"])
    >>> kind, 0.2 <= severity <= 1, damaged.tolist() == grey.tolist()  # a flat image has no contrast to lose
    ('contrast', True, True)
    """
    choice = tuple(CORRUPTIONS if kinds is None else kinds)
    check_kinds(choice, CORRUPTIONS, "damage")
    rng = keyed_generator(key, seed)
    kind = choice[int(rng.integers(len(choice)))]
    severity = float(rng.uniform(_MILDEST, 1))
    return corrupt(pixels, kind, severity, int(rng.integers(2**62))), kind, severity


def drawn_kind(key: str, seed: int, kinds: Sequence[str] | None = None) -> str:
    """Return the kind of damage that `random_corruption` draws for this key and seed.

    >>> drawn_kind("cat/1.jpg", 0) == random_corruption(np.full((8, 8, 3), 90, np.uint8), "cat/1.jpg", 0)[1]
    True
    """
    choice = tuple(CORRUPTIONS if kinds is None else kinds)
    return choice[int(keyed_generator(key, seed).integers(len(choice)))]


def keyed_generator(key: str, seed: int) -> np.random.Generator:
    """Make a generator from BLAKE2b of seed and key, for draws that no other image has a part in.

    >>> [int(keyed_generator(key, 0).integers(100)) for key in ("a", "b", "a")]
    [17, 25, 17]
    """
    hashed = hashlib.blake2b(f"{seed}\n{key}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(hashed, "big"))


def check_pixels(pixels: Pixels) -> None:
    """Raise InputError unless these are (h, w, 3) uint8 pixels, at least one."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InputError(f"pixels must be uint8 of shape (h, w, 3); got {pixels.dtype} of shape {pixels.shape}")


def check_kinds(kinds: Sequence[str], known: Collection[str], what: str) -> None:
    """Raise InputError if `kinds` is empty or has a member that is not known; `what` they are kinds of."""
    names = ", ".join(known)
    if not kinds:
        raise InputError(f"no kind of {what} given; choose from {names}")
    for kind in kinds:
        if kind not in known:
            raise InputError(f"unknown kind of {what} {kind!r}; choose from {names}")


def on_reduced_copy(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """Change a reduced copy of a large image and enlarge the result: quicker, and a classifier sees no difference.

    The copy's short side has 448 pixels; an image that is no larger is changed as it is.
    """
    scale = 2 * SEEN / min(pixels.shape[:2])
    if scale >= 1:
        return change(pixels)
    image = Image.fromarray(pixels)
    small = image.resize(_scaled(image.size, scale), Image.Resampling.BOX)
    changed = Image.fromarray(change(np.array(small)))
    return np.array(changed.resize(image.size, Image.Resampling.BICUBIC))


def rounded(values: NDArray[np.floating]) -> Pixels:
    """Round to the nearest of 0..255."""
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)


def window(side: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Place a window of this share of a side, at least one pixel long; returns (start, length)."""
    length = max(1, round(side * share))
    return int(rng.integers(side - length + 1)), length


def mean_colour(pixels: Pixels) -> tuple[int, int, int]:
    """Return the rounded mean of each channel."""
    red, green, blue = np.rint(pixels.mean(axis=(0, 1))).astype(int).tolist()
    return red, green, blue


def _coarsely(damage: Corruption) -> Corruption:
    def coarse_damage(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
        return on_reduced_copy(pixels, lambda copy: damage(copy, severity, rng))

    return coarse_damage


def _gaussian_noise(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Add normal noise of standard deviation 0.16 x severity x 255 to each channel."""
    coarse, grain = _grid(pixels)
    noise = rng.standard_normal((*coarse, 3), dtype=np.float32) * np.float32(0.16 * 255 * severity)
    return rounded(_spread(noise, grain, pixels) + pixels)


def _impulse_noise(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Turn a share of 0.15 x severity of the pixels black or white."""
    coarse, grain = _grid(pixels)
    drawn = _spread(rng.random((*coarse, 1), dtype=np.float32), grain, pixels)
    share = 0.15 * severity
    return np.where(drawn < share / 2, np.uint8(0), np.where(drawn < share, np.uint8(255), pixels))


@_coarsely
def _gaussian_blur(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Blur with a standard deviation of 0.035 x severity of the short side."""
    image = Image.fromarray(pixels)
    return np.array(image.filter(ImageFilter.GaussianBlur(0.035 * severity * min(image.size))))


@_coarsely
def _motion_blur(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Average along a line in a random direction, as long as 1 pixel + 0.2 x severity of the short side."""
    angle = rng.uniform(0, math.pi)
    length = 1 + 0.2 * severity * min(pixels.shape[:2])
    doublings = math.ceil(math.log2(length))
    # Two copies at distances 1, 2, 4, ... steps average 2^k points of the line in k passes.
    blurred: NDArray[np.float32] = pixels.astype(np.float32)
    total = np.zeros(2, dtype=np.int64)
    for i in range(doublings):
        step = 2.0 ** (i - doublings) * length
        offset = np.rint([step * math.sin(angle), step * math.cos(angle)]).astype(np.int64)
        blurred = (blurred + _shifted(blurred, offset)) * np.float32(0.5)
        total += offset
    return rounded(_shifted(blurred, -(total // 2)))


@_coarsely
def _jpeg(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Compress as JPEG with a quality falling from 50 to 12."""
    # Beyond this side a JPEG file can't describe its size.
    if max(pixels.shape) > 65_500:
        return pixels.copy()
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=round(50 - 38 * severity))
    with Image.open(encoded, formats=("JPEG",)) as decoded:
        return np.array(decoded)


def _brightness(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Over-expose: multiply by 1 + 1.5 x severity and add 0.1 x severity, clipped at white."""
    return _mapped(pixels, (1 + 1.5 * severity) * _LEVELS + 25.5 * severity)


def _darkness(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Under-expose: multiply by 1 - 0.85 x severity."""
    return _mapped(pixels, (1 - 0.85 * severity) * _LEVELS)


def _contrast(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Pull every value towards the image's mean, leaving 1 - 0.85 x severity of the distance."""
    mean = pixels.mean()
    return _mapped(pixels, mean + (1 - 0.85 * severity) * (_LEVELS - mean))


def _occlusion(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Cover a rectangle of 0.35 x severity of the area, anywhere, with one random colour."""
    share = math.sqrt(0.35 * severity)
    (top, height), (left, width) = (window(side, share, rng) for side in pixels.shape[:2])
    damaged = pixels.copy()
    damaged[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return damaged


def _rotation(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Rotate by 45 x severity degrees, left or right; the corners get the mean colour."""
    angle = 45 * severity * rng.choice((-1, 1))
    return np.array(Image.fromarray(pixels).rotate(angle, Image.Resampling.BILINEAR, fillcolor=mean_colour(pixels)))


def _resolution(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Make coarse squares: a short side of s pixels (at most 224) keeps s^(1 - 0.3 x severity) of them."""
    image = Image.fromarray(pixels)
    kept = min(SEEN, *image.size) ** (1 - 0.3 * severity)
    small = image.resize(_scaled(image.size, kept / min(image.size)), Image.Resampling.BOX)
    return np.array(small.resize(image.size, Image.Resampling.NEAREST))


def _crop(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Zoom into a window of 1 - 0.5 x severity of each side, anywhere."""
    (top, height), (left, width) = (window(side, 1 - 0.5 * severity, rng) for side in pixels.shape[:2])
    image = Image.fromarray(pixels)
    box = (left, top, left + width, top + height)
    return np.array(image.resize(image.size, Image.Resampling.BICUBIC, box=box))


def _colour(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Mix 0.7 x severity of grey into the colours, then multiply each channel by exp(0.5 x severity x U(-1, 1))."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)[:, :, None]
    gains = np.exp(0.5 * severity * rng.uniform(-1, 1, 3)).astype(np.float32)
    weight = np.float32(0.7 * severity)
    return rounded((pixels + weight * (grey - pixels)) * gains)


def _translation(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Shift by 0.3 x severity of the sides, in a random direction; what comes in has the mean colour."""
    angle = rng.uniform(0, 2 * math.pi)
    h, w = pixels.shape[:2]
    dy, dx = round(0.3 * severity * h * math.sin(angle)), round(0.3 * severity * w * math.cos(angle))
    damaged = np.empty_like(pixels)
    damaged[:] = mean_colour(pixels)
    damaged[max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)] = pixels[
        max(0, -dy) : h - max(0, dy), max(0, -dx) : w - max(0, dx)
    ]
    return damaged


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": _gaussian_noise,
        "impulse_noise": _impulse_noise,
        "gaussian_blur": _gaussian_blur,
        "motion_blur": _motion_blur,
        "jpeg": _jpeg,
        "brightness": _brightness,
        "darkness": _darkness,
        "contrast": _contrast,
        "occlusion": _occlusion,
        "rotation": _rotation,
        "resolution": _resolution,
        "crop": _crop,
        "colour": _colour,
        "translation": _translation,
    }
)

_LEVELS = np.arange(256, dtype=np.float64)


def _mapped(pixels: Pixels, levels: NDArray[np.float64]) -> Pixels:
    return np.asarray(rounded(levels)[pixels], dtype=np.uint8)


def _grid(pixels: Pixels) -> tuple[tuple[int, int], int]:
    """Rows and columns of a noise grid, and the pixels each of its cells is wide."""
    h, w = pixels.shape[:2]
    grain = max(1, round(min(h, w) / SEEN))
    return (-(-h // grain), -(-w // grain)), grain


def _spread(values: NDArray[np.float32], grain: int, pixels: Pixels) -> NDArray[np.float32]:
    h, w = pixels.shape[:2]
    return values if grain == 1 else values.repeat(grain, axis=0)[:h].repeat(grain, axis=1)[:, :w]


def _shifted(values: NDArray[np.float32], offset: NDArray[np.int64]) -> NDArray[np.float32]:
    """Take each pixel from `offset` rows and columns further on, the edge repeated outside."""
    h, w = values.shape[:2]
    rows = (np.arange(h) + offset[0]).clip(0, h - 1)
    columns = (np.arange(w) + offset[1]).clip(0, w - 1)
    return np.asarray(values[rows][:, columns])


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
