"""Small pictures of a few images, found again by the names that verdicts have."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.errors import ImageError
from uncertainty.images.by_name import Pictures
from uncertainty.images.data_sets import HeldImages
from uncertainty.images.decoding import TO_SHOW, decoded_to_show
from uncertainty.images.image_set import ImageSet
from uncertainty.images.in_memory import from_array, held, is_tensor, may_be_bands

SIDE = 96


def previews(images: Any, names: Sequence[str], side: int = SIDE) -> list[Image.Image | None]:
    """Return a picture of at most `side` pixels a side for each name; None where there is none, or it can't be read.

    `images` are items, or the folder, manifest or packed file where the images are; of a loader none is found again.
    """
    found: list[Image.Image | None] = [None] * len(names)
    for position, data in _found(images, names):
        found[position] = _small(data, side)
    return found


def uri(picture: Image.Image) -> str:
    """Return a picture inside a URL, as WebP."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80, lossless=max(picture.size) <= SIDE // 2)
    return webp_uri(buffer.getvalue())


def webp_uri(picture: bytes) -> str:
    """Return a WebP picture inside a URL.

    >>> webp_uri(b"ab")
    'data:image/webp;base64,YWI='
    """
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def _found(images: Any, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
    if isinstance(images, HeldImages):
        yield from images.fetch(names)
    elif isinstance(images, list):
        wanted = {name: k for k, name in enumerate(names)}
        yield from ((wanted[item.name], item.data) for item in images if item.name in wanted)
    elif isinstance(images, ImageSet):
        yield from Pictures(images).fetch(names)
    elif isinstance(images, Path) and images.is_dir():  # a folder may hold a million: nothing is listed
        yield from ((k, images / name) for k, name in enumerate(names))
    elif isinstance(images, Path):
        yield from Pictures.at(images).fetch(names)


def _pixels(data: Any) -> NDArray[Any]:
    if may_be_bands(data):
        return from_array(np.asarray(held(data, TO_SHOW)), TO_SHOW, last=is_tensor(data)).pixels
    given = held(data)
    return given if isinstance(given, np.ndarray) else decoded_to_show(given).pixels


def _small(data: Any, side: int) -> Image.Image | None:
    try:
        picture = Image.fromarray(_pixels(data))
    except (ImageError, OSError, TypeError, ValueError):  # an array of another kind
        return None
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    return picture
