"""Arrays of NumPy, one image a file: .npy, or .npz with one array inside."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError
from uncertainty.images.bands import bands_last
from uncertainty.images.formats.base import DecodedImage, Reading, Task, from_bands, grey
from uncertainty.images.formats.depth import eight_bits

ENDINGS: tuple[
    str, ...
] = ()  # features and labels often lie beside pictures in such files; see `sources` for where they are images
SUFFIXES = (".npy", ".npz")
"""How the names of such files end."""
_LONGEST = 10_000  # bytes of a header, as NumPy has it
_MAGIC, _ZIP = b"\x93NUMPY", b"PK\x03\x04"


def recognises(head: bytes) -> bool:
    """Whether a file begins as .npy, or as a zip whose first member is one.

    >>> recognises(b"\\x93NUMPY\\1\\0"), recognises(b"PK\\3\\4 and more")
    (True, False)
    """
    return head.startswith(_MAGIC) or (head.startswith(_ZIP) and b".npy" in head)


def read(stream: IO[bytes], task: Task) -> DecodedImage:
    """Return the array as an image, see `of_array`; ImageError for a file of several arrays, or of objects."""
    with _member(stream) as member:
        shape, by_column, dtype = header(member)
        if dtype.hasobject:
            raise ImageError(f"is an array of {dtype}, which could run code; save numbers")
        sides = sorted(shape, reverse=True)
        if len(sides) in (2, 3) and sides[-1] >= 0:  # anything else is refused below, by its shape
            task.check(sides[0], sides[1], sides[2] if len(sides) == 3 else 1)
            values = np.frombuffer(_exactly(member, shape, dtype), dtype=dtype)
            return of_array(values.reshape(shape, order="F" if by_column else "C"), task.reading)
    raise ImageError(f"is an array of shape {shape}; an image is (h, w, bands), (bands, h, w) or (h, w)")


def size(stream: IO[bytes], task: Task) -> tuple[int, int]:
    """Return (width, height); where bands are is told by the sides, of which the smallest counts as bands."""
    with _member(stream) as member:
        shape, _, _ = header(member)
    sides = list(shape)
    if len(sides) == 3:
        del sides[0 if sides[0] < sides[2] else 2]
    if len(sides) != 2:
        raise ImageError(f"is an array of shape {shape}; an image is (h, w, bands), (bands, h, w) or (h, w)")
    return int(sides[1]), int(sides[0])


def of_array(values: NDArray[Any], reading: Reading, *, last: bool = False) -> DecodedImage:
    """Return an array (h, w, bands), (bands, h, w) or (h, w) as an image; `last` says that it is the first of these.

    For a picture of 8 bits it must have one or three bands of uint8, or `reading.bands` chooses some of whole numbers.
    Raises ImageError for anything else, and where the shape does not tell which axis the bands are.

    >>> of_array(np.full((1, 2), 7, np.uint8), Reading()).pixels.tolist()
    [[[7, 7, 7], [7, 7, 7]]]
    """
    axes, bands = "hwc" if last else reading.axes, reading.bands
    if reading.multiband is not None:
        return DecodedImage.of_bands(bands_last(values, reading.there, axes), reading)
    pixels, remark = values, ""
    if bands is not None:
        if values.dtype.kind != "u":
            raise ImageError(
                f"is an array of {values.dtype} {values.shape}; for bands= it must be of unsigned integers"
            )
        chosen = from_bands(bands_last(values, reading.there, axes), bands)
        pixels, remark = eight_bits(chosen, 8 * values.dtype.itemsize, reading.bits)
    elif values.dtype == np.uint8 and values.ndim == 3 and 3 in (values.shape[0], values.shape[2]):
        pixels = bands_last(values, reading.there, axes)
    elif values.dtype == np.uint8 and values.ndim == 2:
        pixels = grey(values)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageError(
            f"is an array of {values.dtype} {values.shape}, and the network takes pictures of 8 bits, (h, w, 3); say "
            "bands= in the model spec where it holds them"
        )
    remarks = (remark,) if remark else ()
    return DecodedImage(np.ascontiguousarray(pixels), pixels.shape[1], pixels.shape[0], remarks)


@contextmanager
def _member(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give what is read no further than asked for: what is zipped may become very large."""
    start = stream.read(len(_ZIP))
    stream.seek(0)
    if start != _ZIP:
        yield stream
        return
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        if len(names) != 1:
            shown = ", ".join(name.removesuffix(".npy") for name in names[:5])
            raise ImageError(f"holds {len(names)} arrays ({shown}); one image a file must be the only one")
        with archive.open(names[0]) as member:
            yield member


def header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    """Read shape, whether columns lie together, and type of an array, and leave the stream where its values begin."""
    try:
        version = np.lib.format.read_magic(member)
    except ValueError as error:
        raise ImageError("does not begin as an array of NumPy") from error
    if version not in ((1, 0), (2, 0)):
        raise ImageError(f"is of version {version[0]}.{version[1]} of NumPy's format; versions 1.0 and 2.0 are read")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    told = member.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(told, "little")
    if length > _LONGEST:
        raise ImageError(f"has a header of {length:,} bytes, where an array has some hundred")
    text = member.read(length)
    if len(text) < length:
        raise ImageError("is truncated")
    try:
        shape, by_column, dtype = read_header(io.BytesIO(told + text))
    except Exception as error:  # of the parser of Python, whose words are of another place each time
        raise ImageError("has a header that is none of NumPy") from error
    return tuple(map(int, shape)), by_column, dtype


def _exactly(member: IO[bytes], shape: tuple[int, ...], dtype: Any) -> bytes:
    wanted = math.prod(shape) * dtype.itemsize
    data = member.read(wanted)
    if len(data) < wanted:
        raise ImageError("is truncated")
    member.read(1)  # at its end a zip file looks whether what was read is what was written
    return data
