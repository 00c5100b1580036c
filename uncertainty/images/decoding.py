"""Encoded image files to pixels; every way in which that can fail is an ImageError with a short reason."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from uncertainty.errors import ImageError, InputError
from uncertainty.images.remote import RemotePath

MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_ENDINGS = ("bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp")
IMAGE_SUFFIXES = tuple(f".{end}" for end in _ENDINGS)

_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = frozenset({5, 6, 7, 8})
_LONGEST_REASON = 120
_MOST_BYTES = 1 << 26  # a file beyond that is not held in memory


@dataclass(frozen=True)
class Least:
    """How many pixels the short and the long side of an image need: a larger JPEG may be decoded at a part of its size.

    >>> Least(448, 512) | Least(64, 600)
    Least(short=448, long=600)
    """

    short: int
    long: int

    def __or__(self, other: Least) -> Least:
        return Least(max(self.short, other.short), max(self.long, other.long))


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """Pixels as a classifier wants them, and the size of the image in its file.

    `pixels` is (h, w, 3) uint8 RGB, of a large JPEG perhaps at a part of its size; `width` and `height` are those of
    the file, after its EXIF rotation.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


def is_image_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file name ends like an image that `decode` reads.

    >>> is_image_name("holiday/Anna's.JPG"), is_image_name("notes.txt"), is_image_name(".jpg")
    (True, False, False)
    """
    return PurePosixPath(os.fspath(name)).suffix.lower() in IMAGE_SUFFIXES


def decode(data: Path | RemotePath | bytes, max_pixels: int = MAX_PIXELS, least: Least | None = None) -> DecodedImage:
    """Decode the first frame of an encoded image to RGB.

    Returns (h, w, 3) uint8. EXIF rotation is applied. Alpha is dropped, not blended, and CMYK converted by Pillow's
    plain formula: that is what `convert("RGB")` gives, on which classifiers were trained. 16-bit greyscale keeps its
    high byte. With `least`, a JPEG is decoded at a half, a quarter or an eighth of its size where both sides keep at
    least so many pixels, which is much faster; without, at full size.

    Raises ImageError with a reason that can follow the file's name: "is truncated", "is empty (0 bytes)",
    "cannot identify the format ...", "has 400,000,000 pixels, more than the limit of 50,000,000" (known from the
    header, before any pixel is decoded).

    >>> decode(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255])).pixels.tolist()
    [[[255, 0, 0], [0, 0, 255]]]
    """
    with _reasons(), _opened(data) as stream, _SILENCE:
        image = _open_image(stream, max_pixels)
        width, height = image.size
        _reduce_while_decoding(image, least)
        image.load()
        upright, swapped = _upright(image)
        pixels = _rgb(upright)
    return DecodedImage(pixels, *((height, width) if swapped else (width, height)))


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
        image = _open_image(stream, max_pixels)
        try:
            turned = image.getexif().get(_ORIENTATION_TAG) in (5, 6, 7, 8)
        except Exception:  # as in `_upright`
            turned = False
        return (image.height, image.width) if turned else (image.width, image.height)


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


class _Silence:
    """Ignores Pillow's warnings while at least one thread is inside.

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
                warnings.filterwarnings("ignore", module=r"PIL\.")
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
        raise ImageError(f"cannot identify the format; readable are {', '.join(FORMATS)}") from error
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
    text = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "is truncated"
    return f"can't be decoded ({text})"


def _open_image(stream: IO[bytes], max_pixels: int) -> Image.Image:
    try:
        image = Image.open(stream, formats=FORMATS)
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(int(found[1]) if found else None, max_pixels) from error
    if image.width * image.height > max_pixels:
        raise _too_large(image.width * image.height, max_pixels)
    return image


def _too_large(n: int | None, limit: int) -> ImageError:
    pixels = "too many pixels" if n is None else f"{n:,} pixels"
    # Pillow has a limit of its own, which a larger max_pixels does not lift.
    limit = min(limit, 2 * (Image.MAX_IMAGE_PIXELS or limit))
    return ImageError(f"has {pixels}, more than the limit of {limit:,}")


def _reduce_while_decoding(image: Image.Image, least: Least | None) -> None:
    if least is None or image.format not in ("JPEG", "MPO"):
        return
    short, long = min(image.size), max(image.size)
    scale = next((s for s in (8, 4, 2) if short // s >= least.short and long // s >= least.long), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Apply the EXIF rotation; also say whether width and height changed places."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged metadata of any kind must not cost an image whose pixels are fine
        return image, False
    # A damaged tag may be anything, a tuple or a float included.
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return (image, False) if method is None else (image.transpose(method), orientation in _SWAPS_SIDES)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise ImageError("has floating-point pixels of unknown range; convert it to 8 or 16 bit")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _grey_16_bit(np.asarray(image))
    # Colours behind transparent pixels stay as they are; left in, the key makes Pillow warn.
    image.info.pop("transparency", None)
    if image.mode in ("PA", "La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    # A copy, since what Pillow hands out is read-only and torch warns of that.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _grey_16_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        raise ImageError(f"has integer pixels from {low} to {high}, beyond 16 bit; convert it to 8 or 16 bit")
    # The high byte, not the nearest value: Pillow does so for 16-bit colour, and both should decode alike.
    return np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
