"""A picture of what a network is given, beside the image that it was made of: a wrong size, crop or mean is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.preprocess import Preprocess

_HEIGHT = 256  # of each panel, at least
_GAP, _CAPTION = 8, 14
_SHADES = 3.0  # of the numbers that are shown: black is -3, white is 3; 255 in place of 3 where range is 255


def shown_input(pixels: NDArray[np.uint8], inputs: NDArray[np.float32], preprocess: Preprocess) -> Any:
    """Return a Pillow image of three panels: the image as it was read, the input in colours, the input as numbers.

    `pixels` (h, w, 3) are the image, `inputs` (channels, height, width) what the network gets. In the second panel
    mean and std are undone, and channels stand in the order in which the network has them: blue and red are swapped
    for a network that takes BGR. In the third, -3 is black, 0 grey and 3 white, whatever mean and std were said, so
    that numbers that are far too large or never negative are seen; with another `range` that takes the place of 3.
    """
    from PIL import Image

    sides = preprocess.sides
    scale = max(1, round(_HEIGHT / sides[0]))
    size = (sides[1] * scale, sides[0] * scale)
    banded = isinstance(preprocess.channels, int)
    as_stored = preprocess.range != 1 and (not banded or np.abs(inputs).max() > 4 * _SHADES)
    most = preprocess.range if as_stored else _SHADES
    whole, inputs, preprocess = Image.fromarray(pixels), *_of_three(inputs, preprocess)
    panels = [
        (f"image {pixels.shape[1]} x {pixels.shape[0]}", whole.resize(_of_height(whole.size, size[1]))),
        (f"input {sides[1]} x {sides[0]}", _picture(undone(inputs, preprocess)).resize(size, Image.Resampling.NEAREST)),
        (
            f"numbers, -{most:g} to {most:g}",
            _picture((inputs / most + 1) * 127.5).resize(size, Image.Resampling.NEAREST),
        ),
    ]
    return _beside(panels, size[1])


def _of_three(inputs: NDArray[np.float32], preprocess: Preprocess) -> tuple[NDArray[np.float32], Preprocess]:
    """Return those channels that are shown, of a network of other bands than colours, or else the first three."""
    if not isinstance(preprocess.channels, int):
        return inputs, preprocess
    bands = preprocess.bands or tuple(range(1, preprocess.channels + 1))
    usual = bands[:3] if len(bands) > 2 else bands[:1]
    chosen = [
        bands.index(band) for band in (preprocess.show if set(preprocess.show or ()) <= {*bands} else None) or usual
    ]
    mean, std = (tuple(getattr(preprocess, name)[k] for k in chosen) for name in ("mean", "std"))
    few = replace(preprocess, channels=len(chosen), bands=None, show=None, mean=mean, std=std)
    return inputs[chosen], few


def undone(inputs: NDArray[np.float32], preprocess: Preprocess) -> NDArray[np.float64]:
    """Return inputs (channels, h, w) in units of 0..255, without mean and std.

    >>> half = Preprocess(size=1, mean=0.5, std=0.5)
    >>> undone(half(np.full((1, 1, 3), 51, np.uint8)), half).round(3).ravel().tolist()
    [51.0, 51.0, 51.0]
    """
    mean, std = (np.asarray(getattr(preprocess, name), dtype=np.float64)[: len(inputs)] for name in ("mean", "std"))
    return np.asarray((inputs * std[:, None, None] + mean[:, None, None]) * (255 / preprocess.range))


def _picture(values: NDArray[Any]) -> Any:
    from PIL import Image

    shades = values.round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(shades.repeat(3, axis=2) if shades.shape[2] == 1 else shades)


def _of_height(size: tuple[int, int], height: int) -> tuple[int, int]:
    return max(1, min(4 * height, round(size[0] * height / size[1]))), height


def _beside(panels: list[tuple[str, Any]], height: int) -> Any:
    """Put panels in a row, each with its caption above."""
    from PIL import Image, ImageDraw

    width = sum(max(panel.width, 7 * len(words)) + _GAP for words, panel in panels) + _GAP
    page = Image.new("RGB", (width, height + _CAPTION + 2 * _GAP), "white")
    draw, left = ImageDraw.Draw(page), _GAP
    for words, panel in panels:
        draw.text((left, 2), words, fill="black")
        page.paste(panel, (left, _CAPTION + _GAP))
        left += max(panel.width, 7 * len(words)) + _GAP
    return page
