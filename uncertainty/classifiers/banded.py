"""Channels of networks that take other images than red, green and blue: how many, and in which numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ModelError

_USUAL = (1, 3)


def channels_of(channels: Any, mean: Any, std: Any, bands: Sequence[int] | None) -> Any:
    """Return `channels`, or how many there are where it says colours and a length says otherwise.

    >>> channels_of("rgb", 0.5, 0.5, (2, 3, 4, 8)), channels_of("rgb", 0.5, 0.5, (4, 3, 2)), channels_of(12, 0, 1, None)
    (4, 'rgb', 12)
    >>> channels_of("rgb", (1, 2, 3, 4), (5, 6, 7, 8), None), channels_of("rgb", (1, 2, 3, 4), (1, 2, 3), None)
    (4, 'rgb')
    """
    if channels != "rgb":
        return channels
    lengths = {len(one) if isinstance(one, tuple | list) else 1 for one in (mean, std)} - {1}
    if bands is not None and len(bands) not in _USUAL:
        return len(bands)
    return lengths.pop() if len(lengths) == 1 and min(lengths) > max(_USUAL) else channels


def numbers(name: str, values: Any, channels: Any, usual: tuple[Any, float]) -> tuple[float, ...]:
    """Return mean or std with a number for each channel; what is `usual` for colours is left away for other bands.

    >>> numbers("mean", 0.5, 4, ((0.485, 0.456, 0.406), 0.0)), numbers("mean", (1, 2), 2, ((0.485, 0.456, 0.406), 0.0))
    ((0.5, 0.5, 0.5, 0.5), (1.0, 2.0))
    """
    count = channels if isinstance(channels, int) else 3
    if count != 3 and values == usual[0]:
        values = usual[1]
    try:
        given = (float(values),) if isinstance(values, int | float) else tuple(float(v) for v in values)
    except (TypeError, ValueError):
        given = ()
    if len(given) == 3 != count and len(set(given)) == 1:  # one for all, before anybody knew of how many
        given = given[:1]
    found = given * count if len(given) == 1 else given
    if len(found) != count or not all(map(math.isfinite, found)):
        raise ModelError(f"Preprocess {name} needs {count} numbers, one a channel, or one for all; got {values!r}")
    return found


def normalised(
    values: NDArray[Any], white: float, most: float, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Turn (h, w, c) stored values into (c, h, w) float32: (value / white x most - mean) / std, where white is `white`.

    >>> normalised(np.array([[[51, 255]]], np.uint8), 255, 1, (0.2, 0.5), (1, 0.5)).round(6).ravel().tolist()
    [0.0, 1.0]
    """
    found = np.array(values.transpose(2, 0, 1), dtype=np.float32, order="C")
    if white != most:
        found = found / np.float32(white) * np.float32(most)
    shift, scale = (np.asarray(one, dtype=np.float32)[:, None, None] for one in (mean, std))
    return np.asarray((found - shift) / scale)
