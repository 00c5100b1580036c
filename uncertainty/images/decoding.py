"""Encoded image files to pixels; every way in which that can fail is an ImageError with a short reason."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from uncertainty.errors import ImageError, InputError, in_one_line
from uncertainty.images.formats import registry
from uncertainty.images.formats.base import MAX_PIXELS, TO_SHOW, WHOLE, DecodedImage, Least, Reading, Task
from uncertainty.images.formats.pillow import NAMES
from uncertainty.images.remote import RemotePath

__all__ = [
    "MAX_PIXELS",
    "TO_SHOW",
    "WHOLE",
    "DecodedImage",
    "Least",
    "Reading",
    "decode",
    "decoded_to_show",
    "digest",
    "digest_picture",
    "digest_pixels",
    "is_image_name",
    "read",
    "size",
]

_OF_READERS = r"PIL\.|pydicom\b|pillow_heif\b|tifffile\b|uncertainty\.images\.formats\."

IMAGE_SUFFIXES = tuple(f".{ending}" for ending in registry.ENDINGS)
_LONGEST_REASON = 120
_MOST_BYTES = 1 << 26  # a file beyond that is not held in memory


def is_image_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file name ends like a picture, one that `decode` reads or one that it names in its error.

    What a download put behind the ending does not matter.

    >>> is_image_name("holiday/Anna's.JPG"), is_image_name("photo.jpg_large"), is_image_name("scan.dng")
    (True, True, True)
    >>> is_image_name("photo.jpg:orig"), is_image_name("photo.png?w=200"), is_image_name("photo.jpg_1.txt")
    (True, True, False)
    >>> is_image_name("notes.txt"), is_image_name(".jpg")
    (False, False)
    """
    suffix = PurePosixPath(os.fspath(name)).suffix.lower()
    ending, sign, added = next((parts for sign in "?:_" if (parts := suffix.partition(sign))[1]), (suffix, "", ""))
    return ending in IMAGE_SUFFIXES and (sign == "?" or not added or added.isalnum())


def decode(
    data: Path | RemotePath | bytes,
    max_pixels: int = MAX_PIXELS,
    least: Least | None = None,
    reading: Reading = WHOLE,
) -> DecodedImage:
    """Decode one picture of an encoded image to RGB: the first frame, or another by `reading`.

    Returns (h, w, 3) uint8. EXIF rotation is applied. Alpha is dropped, not blended, and CMYK converted by Pillow's
    plain formula: that is what `convert("RGB")` gives, on which classifiers were trained. Of deeper values the high
    byte is kept, or that of `reading.bits`. With `least`, a JPEG is decoded at a half, a quarter or an eighth of its
    size where both sides keep at least so many pixels, which is much faster; without, at full size. What each format
    does is said in `uncertainty.images.formats`.

    A multi-band `reading` keeps the values of all bands as well, in `bands`, and `pixels` are those that are shown.

    Raises ImageError with a reason that can follow the file's name: "is truncated", "is empty (0 bytes)",
    "cannot identify the format ...", "has 400,000,000 pixels, more than the limit of 50,000,000" (known from the
    header, before any pixel is decoded), "is a HEIC image; install uncertainty-vision[heif] to read it".

    >>> decode(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255])).pixels.tolist()
    [[[255, 0, 0], [0, 0, 255]]]
    """
    with _reasons(), _opened(data) as stream, _SILENCE:
        image: DecodedImage = _format_of(stream).read(stream, Task(reading, max_pixels, least))
        if reading.multiband is None or image.bands is not None:
            return image
        return DecodedImage.of_bands(image.pixels, reading, remarks=image.remarks)  # of a format without other bands


def decoded_to_show(data: Path | RemotePath | bytes, reading: Reading = WHOLE) -> DecodedImage:
    """Decode an image to be looked at: as `reading` says, or else the first bands of whatever it has.

    Raises ImageError as `decode` does, for the first of these.
    """
    try:
        return decode(data, reading=reading)
    except ImageError:
        try:
            return decode(data, reading=TO_SHOW)
        except ImageError:
            pass
        raise


def _format_of(stream: IO[bytes]) -> Any:
    head = stream.read(registry.HEAD)
    stream.seek(0)
    return registry.of(head)


def read(data: Path | RemotePath | bytes) -> Path | bytes:
    """Return the bytes of a file, so that it is opened once; a file of more than 64 MiB stays where it is.

    Raises ImageError when the file can't be read.

    >>> read(b"P6")
    b'P6'
    """
    if isinstance(data, RemotePath):
        return data.read_bytes()
    if isinstance(data, bytes):
        return data
    with _reasons(), _opened(data) as stream:
        found = stream.read(_MOST_BYTES + 1)
    return found if len(found) <= _MOST_BYTES else data


def size(data: Path | RemotePath | bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) of the upright image, from its header alone; raises ImageError as `decode` does.

    >>> size(b"P6 2 1 255 ")
    (2, 1)
    """
    with _reasons(), _opened(data) as stream, _SILENCE:
        width, height = _format_of(stream).size(stream, Task(max_pixels=max_pixels))
    return width, height


def digest(data: Path | RemotePath | bytes) -> str:
    """16 hexadecimal characters of BLAKE2b over the encoded bytes: equal for equal files.

    Raises ImageError when the file can't be read.

    >>> digest(b"")
    'e4a6a0577479b2b4'
    """
    if isinstance(data, bytes):
        return hashlib.blake2b(data, digest_size=8).hexdigest()
    hasher = hashlib.blake2b(digest_size=8)
    with _reasons(), _opened(data) as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


def digest_pixels(array: NDArray[Any]) -> str:
    """16 hexadecimal characters of BLAKE2b over dtype, shape and values: equal for equal arrays.

    >>> flat = np.zeros((4, 4, 3), np.uint8)
    >>> digest_pixels(flat) == digest_pixels(flat.copy()), digest_pixels(flat) == digest_pixels(flat.reshape(2, 8, 3))
    (True, False)
    """
    hasher = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=8)
    hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def digest_picture(image: DecodedImage, small: NDArray[np.uint8], thumbnail: bytes) -> str:
    """16 hexadecimal characters that are equal for a picture that was saved again, in any format without loss.

    They come from its size, a checksum of `small`, the copy reduced to at most 256 pixels a side, which is the picture
    itself where it is smaller, and its thumbnail: all that is there anyway, since hashing every pixel takes longer.

    >>> flat = DecodedImage(np.zeros((4, 4, 3), np.uint8), 4, 4)
    >>> digest_picture(flat, flat.pixels, b"") == digest_picture(flat, flat.pixels.copy(), b"")
    True
    """
    checksum = zlib.crc32(np.ascontiguousarray(small).data)
    told = f"picture {image.width} {image.height} {checksum} ".encode()
    if image.bands is not None:
        told += f"bands {zlib.crc32(image.bands.values.data)} ".encode()
    return hashlib.blake2b(told + thumbnail, digest_size=8).hexdigest()


class _Silence:
    """Ignores the warnings of Pillow and of other readers while at least one thread is inside.

    `warnings.catch_warnings` alone would leave the filters in disorder when several threads decode at the same time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=_OF_READERS)
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_SILENCE = _Silence()


@contextmanager
def _opened(data: Path | RemotePath | bytes) -> Iterator[IO[bytes]]:
    stream: IO[bytes]
    data = data.read_bytes() if isinstance(data, RemotePath) else data
    if isinstance(data, bytes):
        size, stream = len(data), io.BytesIO(data)
    else:
        status = os.stat(data)
        # Opening a pipe or a device could wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("is not a regular file")
        size, stream = status.st_size, open(data, "rb")
    with stream:
        if size == 0:
            raise ImageError("is empty (0 bytes)")
        yield stream


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn whatever reading and decoding raise into an ImageError."""
    try:
        yield
    except InputError:  # an ImageError, or a network that is down, which says nothing about the image
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"cannot identify the format; readable are {', '.join(NAMES)}") from error
    except MemoryError as error:
        raise ImageError("needs more memory than there is") from error
    # Damaged files reach every corner of Pillow's plugins: SyntaxError, struct.error, IndexError, zlib.error and more.
    except Exception as error:
        raise ImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be read ({error.strerror})"
    text = in_one_line(error, _LONGEST_REASON)
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "is truncated"
    return f"can't be decoded ({text})"
