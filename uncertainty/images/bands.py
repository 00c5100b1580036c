"""Images of any number of bands as they are stored, such as satellite tiles, beside the picture of them that is shown.

A classifier of such images gets values of all its bands; people, quality statistics, near-duplicates and the second
opinion get an ordinary picture of three of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError, ModelError

Axes = Literal["hwc", "chw"]
Floats = NDArray[np.float32]

_BYTE = 255
_MOST_BITS = 16
_FAR_BEYOND = 10  # times white, on average: another unit, and no cloud
_UNSIGNED, _SIGNED, _FLOAT = "u", "i", "f"
ALL = 0
"""As `Multiband.count`: however many there are, to show what nobody described."""


@dataclass(frozen=True)
class Multiband:
    """Which values of an image with any number of bands a classifier gets, and which of them are shown.

    Parameters
    ----------
    count : bands that the network takes; an image with another number can't be read, unless bands are chosen.
    white : the stored value that is white; None: all that the type of the values holds, 1 for floats.
    show : which three bands, or which one, are red, green and blue of the shown picture, counted from 1 as they are
        stored; None: the first three that the network takes, or the first of one or two.

    """

    count: int
    white: float | None = None
    show: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.count < ALL:
            raise ModelError(f"channels is {self.count!r}; give how many bands the network takes, at least 1")
        if self.show is not None and (len(self.show) not in (1, 3) or min(self.show) < 1):
            raise ModelError(f"show is {self.show!r}; give the three bands that are shown, or one, counted from 1")


@dataclass(frozen=True, eq=False)
class Bands:
    """(h, w, c) uint8 or float32 as stored, and which value is white."""

    values: NDArray[Any]
    white: float


def bands_last(values: NDArray[Any], count: int, axes: str | None) -> NDArray[Any]:
    """Return an array as (h, w, b): two axes are one band; of three, `axes` says where bands are, or their number does.

    They are `count`, or where that is negative at least so many. Raises ImageError where both ends could be bands, or
    neither.

    >>> bands_last(np.zeros((4, 32, 32)), 4, None).shape, bands_last(np.zeros((4, 32, 4)), 4, "chw").shape
    ((32, 32, 4), (32, 4, 4))
    """
    if 0 in values.shape or values.ndim not in (2, 3):
        raise ImageError(f"is an array of shape {values.shape}; it must be (h, w, bands), (bands, h, w) or (h, w)")
    if values.ndim == 2:
        return values[:, :, None]
    if axes is None:
        axes = _axes(values.shape, count)
    return np.moveaxis(values, 0, 2) if axes == "chw" else values


def _axes(shape: Sequence[int], count: int) -> Axes:
    if count == ALL:
        return "chw" if shape[0] < shape[2] else "hwc"
    first, last = (n == count or 0 < -count <= n for n in (shape[0], shape[2]))
    if first and last:
        raise ImageError(
            f"is an array of shape {tuple(shape)}, whose bands may come first or last; say axes=hwc or chw"
        )
    if not first and not last:
        wanted = f"{count} bands" if count > 0 else f"at least {-count} bands"
        raise ImageError(f"is an array of shape {tuple(shape)}, and {wanted} are asked for, which neither end is")
    return "chw" if first else "hwc"


def in_bands(
    values: NDArray[Any], multiband: Multiband, chosen: tuple[int, ...] | None = None, bits: int | None = None
) -> tuple[NDArray[np.uint8], Bands]:
    """Return the shown picture (h, w, 3) and the chosen bands of (h, w, b) values, None: all of them.

    `bits` are those that integers use, None: all of their type. Values become float32 unless they are bytes. Of bytes
    the picture shows the values; of others the square root of their share of white, since sensors count light and eyes
    don't. Raises ImageError: another number of bands than the network takes, a band that is not there, values that are
    no numbers or far beyond white.

    >>> tile = np.array([[[100, 400, 1600, 2500]]], np.uint16)
    >>> shown, bands = in_bands(tile, Multiband(4, white=10000.0, show=(3, 2, 1)))
    >>> shown.tolist(), bands.values.tolist(), bands.white
    ([[[102, 51, 26]]], [[[100.0, 400.0, 1600.0, 2500.0]]], 10000.0)
    """
    there = values.shape[2]
    if chosen is None and multiband.count not in (ALL, there):
        raise ImageError(
            f"has {there} band{'s' * (there != 1)}, and the network takes {multiband.count}; where these are among "
            "them, say which: bands=1,2,… in the model spec"
        )
    picked = chosen or tuple(range(1, there + 1))
    shown = multiband.show or (picked[:3] if len(picked) > 2 else picked[:1])
    if max(*picked, *shown) > there:
        raise ImageError(f"has {there} band{'s' * (there != 1)}, and band {max(*picked, *shown)} is asked for")
    white = _white(values, multiband, bits)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused below
        kept = values if values.dtype == np.uint8 else values.astype(np.float32)
    picture, found = _taken(kept, shown), Bands(_taken(kept, picked), white)
    _refuse_unfit(found)
    return _shown(picture, white), found


def _taken(values: NDArray[Any], bands: tuple[int, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(values[:, :, [band - 1 for band in bands]])


def _white(values: NDArray[Any], multiband: Multiband, bits: int | None) -> float:
    kind, size = values.dtype.kind, 8 * values.dtype.itemsize
    if kind not in (_UNSIGNED, _SIGNED, _FLOAT):
        raise ImageError(f"has values of {values.dtype}; give whole numbers or floats")
    if multiband.white is not None:
        return multiband.white
    if multiband.count == ALL and values.dtype != np.uint8:
        finite = values[np.isfinite(values)]
        return float(max(np.percentile(finite, 99), 1e-6)) if len(finite) else 1.0
    if kind == _FLOAT:
        return 1.0
    return float((1 << min(bits or _MOST_BITS, size - (kind == _SIGNED))) - 1)


def _refuse_unfit(found: Bands) -> None:
    if found.values.dtype == np.uint8:
        return
    with np.errstate(invalid="ignore"):
        mean = float(found.values.mean(dtype=np.float64))
    if not np.isfinite(mean):
        raise ImageError("has values that are NaN or infinite")
    if mean > _FAR_BEYOND * found.white:
        raise ImageError(
            f"has values of {mean:,.5g} on average, far beyond the {found.white:,.5g} that is white; say what is: "
            "range= in the model spec"
        )


def _shown(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    if values.dtype == np.uint8 and white == _BYTE:
        picture = values
    else:
        share = (values.astype(np.float32) / np.float32(white)).clip(0, 1)
        picture = np.rint(np.sqrt(np.nan_to_num(share)) * _BYTE).astype(np.uint8)
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def damaged(bands: Bands, damage: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Bands:
    """Damage bands three at a time, which a damage of pictures takes; one that draws equally does the same to all.

    Bytes are damaged as they are. Others are brought to 0..255 by the square root of their share of the largest value
    of their band, and back: a band of small values keeps as many steps as one of large ones.

    >>> tile = Bands(np.array([[[100, 2500, 90, 4]]], np.float32), 10000.0)
    >>> damaged(tile, lambda pixels: pixels // 5).values.astype(float).round(2).tolist()  # 51 of 255, squared
    [[[4.0, 100.0, 3.6, 0.16]]]
    """
    values = bands.values
    count = values.shape[2]
    low, scale = (0.0, 1.0) if values.dtype == np.uint8 else _ends(values)
    pixels = values if values.dtype == np.uint8 else np.rint(np.sqrt((values - low) / scale) * _BYTE).astype(np.uint8)
    found = np.empty_like(pixels)
    for start in range(0, count, 3):
        group = [min(start + k, count - 1) for k in range(3)]
        found[:, :, group] = damage(np.ascontiguousarray(pixels[:, :, group]))
    if values.dtype == np.uint8:
        return Bands(found, bands.white)
    return Bands(np.square(found.astype(np.float32) / _BYTE) * scale + low, bands.white)


def _ends(values: NDArray[Any]) -> tuple[Any, Any]:
    """Return for each band what becomes 0, and how much more becomes 255."""
    low = np.minimum(values.min(axis=(0, 1)), 0)
    span = values.max(axis=(0, 1)) - low
    return low, np.where(span > 0, span, 1).astype(np.float32)


_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def upright(values: NDArray[Any], orientation: Any) -> NDArray[Any]:
    """Turn (h, w, b) as the orientation tag of TIFF and EXIF says; any other value changes nothing.

    >>> upright(np.array([[[1], [2]]]), 6)[:, :, 0].tolist()
    [[1], [2]]
    """
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return values if turn is None else turn(values)
