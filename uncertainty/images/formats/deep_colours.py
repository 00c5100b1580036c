"""Deep PNG, JPEG 2000 and pixmaps as they are stored: Pillow keeps 8 bits of their colours, not always the right ones.

Of JPEG 2000 it takes the nearest of 256 values and lets the last one overflow, so that white becomes black.
"""

from __future__ import annotations

import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError

_BYTE = 255
_ALL_OF_GREY = 16  # of grey Pillow keeps them all
_COLOURS = ("RGB", "RGBA", "LA")
_BINARY = "ppm"
_BITS_OF_JPEG2000 = re.compile(rb"\xff\x51.{38}([\x08-\x1f])", re.DOTALL)


def depth(image: Any, stream: IO[bytes]) -> int:
    """Return how many bits a value has in the file, where it is more than 8 and Pillow may keep fewer; else 0."""
    if image.format == "PNG":
        return 16 if image.mode in _COLOURS and any(str(tile.args).endswith(";16B") for tile in image.tile) else 0
    if image.format == "PPM":
        most = max((tile.args[1] for tile in image.tile if isinstance(tile.args, tuple)), default=0)
        return int(most).bit_length() if most > _BYTE else 0
    if image.format != "JPEG2000":
        return 0
    where = stream.tell()
    stream.seek(0)
    found = _BITS_OF_JPEG2000.search(stream.read(4096))
    stream.seek(where)
    deep = found[1][0] + 1 if found else 0
    return 0 if deep == _ALL_OF_GREY and image.mode not in _COLOURS else deep


def is_needed(image: Any, deep: int, bits: int | None) -> bool:
    """Whether what Pillow keeps is not enough: where fewer bits are used than the file has, and where it rounds."""
    overflows = image.format == "JPEG2000" and image.mode in _COLOURS
    rounds = image.format == "PPM" and deep == _ALL_OF_GREY and image.tile[0].codec_name == _BINARY
    return deep > 0 and (overflows or rounds or (bits is not None and bits < deep))


def values(image: Any, stream: IO[bytes]) -> NDArray[np.uint16]:
    """Return (h, w, bands) as stored; `image` was opened and is not loaded.

    Raises ImageError where that takes a library that is not there, and for a pixmap written as text.
    """
    if image.format == "PPM":
        return _pixmap(image, stream)
    try:
        import imagecodecs
    except ImportError as error:
        raise ImageError(
            f"is deep {image.format}, of which Pillow does not keep all bits; install uncertainty-vision[tiff]"
        ) from error
    where = stream.tell()
    stream.seek(0)
    decoder = imagecodecs.png_decode if image.format == "PNG" else imagecodecs.jpeg2k_decode
    found = np.asarray(decoder(stream.read()))
    stream.seek(where)  # Pillow reads on where it stopped, to find an orientation that stands at the end
    return found[:, :, None] if found.ndim == 2 else found


def _pixmap(image: Any, stream: IO[bytes]) -> NDArray[np.uint16]:
    tile = image.tile[0]
    if tile.codec_name != _BINARY:
        raise ImageError("is a pixmap of deep colours written as text; store it as PNG or TIFF")
    bands = len(image.getbands())
    stream.seek(tile.offset)
    count = image.width * image.height * bands
    data = stream.read(2 * count)
    if len(data) < 2 * count:
        raise ImageError("is truncated")
    return np.frombuffer(data, dtype=">u2").astype(np.uint16).reshape(image.height, image.width, bands)
