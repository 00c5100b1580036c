"""Images on their way to the network: named, decoded and preprocessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.batches import Row
from uncertainty.classifiers.preprocess import Preprocess, least_of
from uncertainty.errors import ImageError
from uncertainty.images.bands import damaged
from uncertainty.images.decoding import DecodedImage, decode, digest, digest_picture, digest_pixels, read
from uncertainty.images.given import Images, Items, image_items
from uncertainty.images.in_flight import IN_FLIGHT
from uncertainty.images.in_memory import ArrayItem, from_array, held
from uncertainty.images.quality import quality, reduced
from uncertainty.images.sources import ImageItem
from uncertainty.images.thumbnails import thumbnail

__all__ = ["ArrayItem", "Damage", "Images", "Items", "Loaded", "image_items", "load"]

Damage = Callable[[NDArray[np.uint8], str], NDArray[np.uint8]]
"""(pixels, name) to damaged pixels of the same shape."""


@dataclass
class Loaded:
    """An image with its content digest, ready for network and second opinion, or the error why it is not.

    `note` says why a deeper look at it failed.
    """

    item: ImageItem | ArrayItem
    digest: str = ""
    inputs: Any = None
    second_inputs: Any = None
    quality: Any = None
    thumbnail: bytes | None = None
    error: str | None = None
    note: str | None = None
    remarks: tuple[str, ...] = ()
    pixels: str = ""

    def row(self) -> Row:
        """Return what is told of it, beside what the network says."""
        return Row(
            self.item.name,
            self.error,
            self.digest,
            self.item.label,
            self.note,
            self.thumbnail,
            self.remarks,
            self.pixels,
        )


def load(
    item: ImageItem | ArrayItem, preprocess: Preprocess, second: Preprocess | None = None, damage: Damage | None = None
) -> Loaded:
    """Read and decode once, damage, and preprocess for network and second opinion.

    What makes an image unreadable ends in `error`.
    """
    loaded = Loaded(item)
    try:
        with IN_FLIGHT.holding():
            _fill(loaded, preprocess, second, damage)
    except ImageError as error:
        loaded.error = str(error)
    return loaded


def _fill(loaded: Loaded, preprocess: Preprocess, second: Preprocess | None, damage: Damage | None) -> None:
    item = loaded.item
    given = held(item.data, preprocess.reading)
    if isinstance(given, np.ndarray):
        loaded.digest, image = (
            digest_pixels(given),
            from_array(given, preprocess.reading, last=not isinstance(item.data, np.ndarray)),
        )
    else:
        data = read(given)
        loaded.digest = digest(data)
        image = decode(data, least=least_of(preprocess, second), reading=preprocess.reading)
    loaded.remarks = image.remarks
    if damage is not None:
        image = _damaged(image, lambda pixels: damage(pixels, item.name))
    loaded.inputs, small = preprocess.of(image), reduced(image)
    loaded.quality, loaded.thumbnail = quality(image, small), thumbnail(small).tobytes()
    loaded.pixels = digest_picture(image, small, loaded.thumbnail)
    if second is not None:
        loaded.second_inputs = second.of(image)


def _damaged(image: DecodedImage, damage: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> DecodedImage:
    """Damage what is shown and, alike, the bands: whoever draws does so by the name."""
    bands = None if image.bands is None else damaged(image.bands, damage)
    return replace(image, pixels=damage(image.pixels), bands=bands)
