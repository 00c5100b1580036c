"""Small pictures of the screened images: found where they were screened, decoded in threads, encoded as WebP."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from uncertainty.errors import ImageError
from uncertainty.images.by_name import Pictures, each
from uncertainty.images.decoding import WHOLE, Reading, decoded_to_show
from uncertainty.images.remote import AnyFile

SIDE = 160
QUALITY = 70
GONE = "is no longer where it was screened"
# Below this a lossy picture is larger than a lossless one, and blurred.
_TINY = 64


@dataclass(frozen=True)
class Thumbnail:
    """A picture as WebP, with the size of the whole image in pixels; or the reason why there is none."""

    data: bytes = b""
    width: int = 0
    height: int = 0
    error: str | None = None


def thumbnails(
    pictures: Pictures, names: Sequence[str], *, side: int = SIDE, workers: int = 4, reading: Reading = WHOLE
) -> list[Thumbnail]:
    """Return a thumbnail for each name, in their order; what can't be found or decoded says why."""
    return each(pictures, names, lambda data: thumbnail(data, side, reading), Thumbnail(error=GONE), workers)


def thumbnail(data: AnyFile | bytes, side: int = SIDE, reading: Reading = WHOLE) -> Thumbnail:
    """Shrink an encoded image to at most `side` pixels a side; an image that is smaller stays as it is.

    It is read as it was screened, or where that can't be, as what nobody described: its first bands.

    >>> small = thumbnail(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255]))
    >>> small.width, small.height, small.data[8:12], thumbnail(b"").error
    (2, 1, b'WEBP', 'is empty (0 bytes)')
    """
    from PIL import Image

    try:
        decoded = decoded_to_show(data, reading)
    except ImageError as error:
        return Thumbnail(error=str(error))
    image = Image.fromarray(decoded.pixels)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, lossless=max(image.size) <= _TINY, method=4)
    return Thumbnail(buffer.getvalue(), decoded.width, decoded.height)
