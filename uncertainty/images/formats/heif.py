"""HEIC and HEIF, as telephones take photographs, by pillow-heif (extra `heif`)."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from uncertainty.errors import ImageError
from uncertainty.images.formats.base import DecodedImage, Task
from uncertainty.images.formats.pillow import rgb
from uncertainty.images.remarks import SEVERAL_FRAMES

ENDINGS = ("heic", "heics", "heif", "heifs", "hif")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def recognises(head: bytes) -> bool:
    """Whether a file begins as HEIF does; AVIF, which lies in the same box, is Pillow's.

    >>> box = b"\\0\\0\\0\\x18ftyp"
    >>> recognises(box + b"heic\\0\\0\\0\\0mif1heic"), recognises(box + b"mif1\\0\\0\\0\\0mif1avif")
    (True, False)
    """
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS and not any(one in brands for one in _AVIF)


def read(stream: IO[bytes], task: Task) -> DecodedImage:
    """Decode the primary image, or the one of `Reading.frame`; libheif has turned it upright already.

    Deep colours are scaled to 8 bits by the bits that the file declares. Raises ImageError where the extra is missing.
    """
    file, which = _chosen(stream, task)
    image = file[which].to_pillow()
    width, height = image.size
    pixels, remark = rgb(image, task)
    remarks = (SEVERAL_FRAMES,) if len(file) > 1 and task.reading.frame == 1 else ()
    return DecodedImage(np.ascontiguousarray(pixels), width, height, (*remarks, remark) if remark else remarks)


def size(stream: IO[bytes], task: Task) -> tuple[int, int]:
    """Return (width, height) of the upright image, from its header alone."""
    file, which = _chosen(stream, task)
    width, height = file[which].size
    return int(width), int(height)


def _chosen(stream: IO[bytes], task: Task) -> tuple[Any, int]:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError("is a HEIC image; install uncertainty-vision[heif] to read it") from error
    file = pillow_heif.open_heif(stream)
    frame = task.reading.frame
    if frame > len(file):
        raise ImageError(f"has {len(file)} images, and frame {frame} is asked for")
    which = file.primary_index if frame == 1 else frame - 1
    task.check(*file[which].size)
    return file, which
