"""TIFF: what 8 bits hold by Pillow, deep values and more bands by tifffile (extra `tiff`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from uncertainty.errors import ImageError
from uncertainty.images.bands import bands_last, upright
from uncertainty.images.formats import pillow
from uncertainty.images.formats.base import DecodedImage, Task, from_bands
from uncertainty.images.formats.depth import eight_bits, of_high_bytes
from uncertainty.images.remarks import SEVERAL_FRAMES

ENDINGS = ("tif", "tiff", "ome.tif", "svs", "btf", "tf8")
_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NOT_SAID, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = -1, 0, 1, 2
_UNSIGNED, _SIGNED, _FLOAT, _UNKNOWN = 1, 2, 3, 4
_WITH_PREDICTOR = (5, 8, 32946, 50000)  # LZW, two names of deflate, Zstandard
_OF_PILLOW = (*_WITH_PREDICTOR, 1, 2, 3, 4, 6, 7, 32773, 34925)  # and none, fax, JPEG, PackBits, LZMA
_NEXT = 0
_BIG_ENDIAN_BIG = b"MM\0+"  # which Pillow takes for another TIFF
_ALPHA = (1, 2)
_SEPARATE = 2
_DEEPEST = 16
_KINDS = {_SIGNED: "signed", _FLOAT: "floating-point"}
_RAW_TAGS = (50706, 33421, 33422)  # DNGVersion and the two that describe a colour filter before the lens


def recognises(head: bytes) -> bool:
    """Whether a file begins as TIFF or BigTIFF do.

    >>> recognises(b"II*\\0 and more"), recognises(b"GIF89a")
    (True, False)
    """
    return head.startswith(_STARTS)


@dataclass(frozen=True)
class _Page:
    """What the tags of one page say of its values."""

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    separate: bool
    kind: int
    extra: tuple[int, ...]
    orientation: int
    compression: int
    predicted: bool
    reduced: bool
    raw: bool
    more: bool

    @property
    def plain(self) -> bool:
        """Whether Pillow reads such a page as it is meant."""
        if self.bits > 8 or self.kind not in (_UNSIGNED, _UNKNOWN) or self.compression not in _OF_PILLOW:
            return False
        if self.predicted and self.compression not in _WITH_PREDICTOR:  # libtiff leaves the differences as they are
            return False
        if self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
            return self.samples == 1 or (self.samples == 2 and self.extra[:1] in ((1,), (2,)))
        return self.photometric != _RGB or self.samples in (3, 4)

    @property
    def deep_and_plain(self) -> bool:
        """Whether Pillow reads such a deep page as it is meant, where tifffile is not there."""
        grey = self.photometric == _BLACK_IS_ZERO and self.samples == 1 and not self.separate
        colours = self.photometric == _RGB and self.samples == 3 and not self.separate
        right = self.compression in _OF_PILLOW and not (self.predicted and self.compression not in _WITH_PREDICTOR)
        return self.bits == 16 and self.kind == _UNSIGNED and right and (grey or colours)

    def __str__(self) -> str:
        kind = _KINDS.get(self.kind, "")
        return f"{self.samples} band{'s' * (self.samples > 1)} of {self.bits} bit{f', {kind}' * bool(kind)}"


def read(stream: IO[bytes], task: Task) -> DecodedImage:
    """Decode a page: by Pillow where 8 bits hold it, else by tifffile.

    White-is-zero is turned round at any depth, values of more than 8 bits keep the high byte of the bits in use, and
    more bands than red, green, blue and alpha need `Reading.bands`. For a multi-band reading every band is taken as it
    is stored, whatever the tags call it; pages of one band each are bands. Raises ImageError for floating-point values,
    whose range nobody knows, for camera raw files, and for what tifffile is needed for where it is not installed.
    """
    page = _page(stream, task.reading.frame)
    task.check(page.width, page.height, page.samples)
    if page.raw or (page.reduced and task.reading.frame == 1):
        advice = "convert it, or say which page is the whole one: frame=2 in the model spec"
        raise ImageError(f"begins with a small copy of the picture, as camera raw files do; {advice}")
    if task.reading.multiband is not None:
        return _multiband(stream, page, task)
    if page.plain and task.reading.bands is None and not _is_big_endian_big(stream):
        try:
            return pillow.read(stream, task)
        except UnidentifiedImageError:
            stream.seek(0)
    if page.kind == _FLOAT:
        raise ImageError(f"has {page} pixels of unknown range; convert it to 8 or 16 bit")
    return _deep(stream, page, task)


def size(stream: IO[bytes], task: Task) -> tuple[int, int]:
    """Return (width, height) of the upright image, from its tags alone."""
    try:
        return pillow.size(stream, task)
    except UnidentifiedImageError:
        stream.seek(0)
        page = _page(stream, task.reading.frame)
        return page.width, page.height


def _page(stream: IO[bytes], frame: int) -> _Page:
    tags = _tags(stream, frame)
    stream.seek(0)
    return _Page(
        width=int(tags.get(256, 0)),
        height=int(tags.get(257, 0)),
        bits=max(_several(tags.get(258, 1))),
        samples=int(tags.get(277, 1)),
        photometric=int(tags.get(262, _NOT_SAID)),
        separate=tags.get(284, 1) == _SEPARATE,
        kind=max(_several(tags.get(339, _UNSIGNED))),
        extra=_several(tags.get(338, ())),
        orientation=int(tags.get(274, 1)),
        compression=int(tags.get(259, 1)),
        predicted=tags.get(317, 1) != 1,
        reduced=bool(int(tags.get(254, 0)) & 1) or tags.get(255) == 2,
        raw=any(tag in tags for tag in _RAW_TAGS),
        more=bool(tags[_NEXT]),
    )


def _tags(stream: IO[bytes], frame: int) -> dict[int, Any]:
    """Return the tags of a page by number, and under _NEXT whether there is another page."""
    header = stream.read(16)
    if header.startswith(_BIG_ENDIAN_BIG):
        return _tags_by_tifffile(stream, frame)
    tags = ImageFileDirectory_v2(header if b"+" in header[2:4] else header[:8])
    for number in range(1, frame + 1):
        if not tags.next:
            raise ImageError(f"has {number - 1} pages, and page {frame} is asked for")
        stream.seek(tags.next)
        tags.load(stream)
    return {**tags, _NEXT: tags.next}


def _tags_by_tifffile(stream: IO[bytes], frame: int) -> dict[int, Any]:
    if (tifffile := _tifffile()) is None:
        raise ImageError("is a big-endian BigTIFF, which Pillow can't read; install uncertainty-vision[tiff]")
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        if frame > len(file.pages):
            raise ImageError(f"has {len(file.pages)} pages, and page {frame} is asked for")
        tags = {tag.code: tag.value for tag in file.pages[frame - 1].tags}
        return {**tags, _NEXT: len(file.pages) > frame}


def _is_big_endian_big(stream: IO[bytes]) -> bool:
    start = stream.read(4)
    stream.seek(0)
    return start == _BIG_ENDIAN_BIG


def _several(value: Any) -> tuple[int, ...]:
    return tuple(map(int, value)) if isinstance(value, tuple | list) else (int(value),)


def _deep(stream: IO[bytes], page: _Page, task: Task) -> DecodedImage:
    bands = task.reading.bands or _usual_bands(page)
    tifffile = _tifffile()
    if tifffile is None:
        if page.deep_and_plain and task.reading.bands is None and (page.samples == 1 or task.reading.bits is None):
            return _high_bytes(stream, page, task)
        raise ImageError(f"has {page}, which Pillow can't read; install uncertainty-vision[tiff]")
    with tifffile.TiffFile(stream) as file:
        found = file.pages[task.reading.frame - 1]
        values = _bands_last(found.asarray(), found.axes)
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise ImageError(f"has {page} in a colour space of its own (photometric {page.photometric}); convert it to RGB")
    if values.dtype.kind not in "ui" or values.ndim != 3:
        raise ImageError(f"has {values.dtype} pixels of shape {values.shape}; convert it to 8 or 16 bit")
    chosen = from_bands(values, bands)
    if page.photometric == _WHITE_IS_ZERO:
        chosen = ((1 << min(task.reading.bits or page.bits, page.bits)) - 1) - chosen
    if page.bits > 8:
        pixels, remark = eight_bits(chosen, page.bits, task.reading.bits)
    else:
        pixels, remark = _stretched(chosen, page), ""
    turned = _upright(pixels, page.orientation)
    frames = (SEVERAL_FRAMES,) if page.more and task.reading.frame == 1 else ()
    remarks = (*frames, remark) if remark else frames
    return DecodedImage(turned, turned.shape[1], turned.shape[0], remarks)


def _multiband(stream: IO[bytes], page: _Page, task: Task) -> DecodedImage:
    """Return every band as it is stored."""
    plain = page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _NOT_SAID)
    tifffile = _tifffile()
    if page.plain and (not plain or tifffile is None):
        return pillow.read(stream, task)
    if tifffile is None:
        raise ImageError(f"has {page}, which Pillow can't read; install uncertainty-vision[tiff]")
    if not plain:
        raise ImageError(f"has {page} in a colour space of its own (photometric {page.photometric}); convert it")
    with tifffile.TiffFile(stream) as file:
        values, remarks = _every_band(file, page, task)
    if page.photometric == _WHITE_IS_ZERO and values.dtype.kind == "u":
        values = ((1 << page.bits) - 1) - values
    bits = page.bits if page.bits <= _DEEPEST else None  # wider numbers hold what 16 bits hold, as in other formats
    return DecodedImage.of_bands(upright(values, page.orientation), task.reading, bits, remarks)


def _every_band(file: Any, page: _Page, task: Task) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (h, w, b) of a page, or of the pages of one band each that are one array; and remarks."""
    reading, first = task.reading, task.reading.frame == 1
    several = page.more and first and page.samples == 1 and abs(reading.there) != 1
    series = file.series[0] if several else None
    if series is None or len(series.shape) != 3:
        found = file.pages[reading.frame - 1]
        return _bands_last(found.asarray(), found.axes), (SEVERAL_FRAMES,) if page.more and first else ()
    task.check(*sorted(series.shape, reverse=True))  # whichever of its axes are bands
    axes = "chw" if series.axes.startswith("C") else "hwc" if series.axes.endswith("C") else reading.axes
    return bands_last(series.asarray(), reading.there, axes), ()


def _stretched(values: NDArray[Any], page: _Page) -> NDArray[np.uint8]:
    """Spread 1, 2 and 4 bits over 0..255, as Pillow does."""
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise ImageError(f"has integer pixels from {low} to {high}; convert it to unsigned 8 or 16 bit")
    return np.asarray(values * (255 // ((1 << page.bits) - 1)), dtype=np.uint8)


def _high_bytes(stream: IO[bytes], page: _Page, task: Task) -> DecodedImage:
    image = pillow.read(stream, task)
    if page.samples == 1:
        return image
    return DecodedImage(image.pixels, image.width, image.height, (*image.remarks, of_high_bytes(image.pixels, 16)))


def _usual_bands(page: _Page) -> tuple[int, ...]:
    """Return the bands that are the picture where nobody says so; ImageError where that would be a guess."""
    alpha = len(page.extra) == 1 and page.extra[0] in _ALPHA
    if page.photometric == _RGB and page.samples in (3, 4):
        return (1, 2, 3)
    if page.samples == 1 or (page.samples == 2 and alpha):
        return (1,)
    raise ImageError(
        f"has {page}; say which are red, green and blue, or which is grey, in the model spec: bands=1,2,3, or bands=1"
    )


def _bands_last(values: NDArray[Any], axes: str) -> NDArray[Any]:
    if axes == "YX":
        return values[:, :, None]
    return np.moveaxis(values, 0, 2) if axes == "SYX" else values


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply the orientation tag, as for every other image."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.getexif()[274] = orientation
    return np.ascontiguousarray(pillow.upright_of(image)[0])


def _tifffile() -> Any:
    """Return tifffile, which tells the log of every oddity of a file; None where it is not installed."""
    try:
        import tifffile
    except ImportError:
        return None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    return tifffile
