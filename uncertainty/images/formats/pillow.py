"""What Pillow reads and is safe with: JPEG, PNG, WebP, AVIF, JPEG 2000 and others."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.errors import ImageError
from uncertainty.images import bands
from uncertainty.images.formats import deep_colours, turbojpeg
from uncertainty.images.formats.base import DecodedImage, Least, Task, from_bands, grey, too_large
from uncertainty.images.formats.depth import eight_bits, of_high_bytes
from uncertainty.images.remarks import SEVERAL_FRAMES, TURNED

NAMES = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000", "TGA", "QOI")
ENDINGS = (
    *(
        "apng",
        "avif",
        "avifs",
        "bmp",
        "dib",
        "gif",
        "j2c",
        "j2k",
        "jfif",
        "jp2",
        "jpc",
        "jpe",
        "jpeg",
        "jpf",
        "jpg",
        "jpx",
    ),
    *("pbm", "pgm", "png", "pnm", "ppm", "qoi", "tga", "webp"),
)
QUICK = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""How most files begin, so that no other format need be asked."""

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
_WITH_FRAMES = ("GIF", "TIFF", "WEBP", "PNG", "MPO", "AVIF")


def recognises(head: bytes) -> bool:
    """Whether to ask Pillow: always, it is asked last."""
    return True


def read(stream: IO[bytes], task: Task) -> DecodedImage:
    """Decode with `task`; raises what Pillow's plugins raise, which is anything."""
    image = opened(stream, task.max_pixels)
    remarks = _at_frame(image, task.reading.frame)
    task.check(*image.size)
    width, height = image.size
    deep = deep_colours.depth(image, stream)
    if task.reading.multiband is not None:
        return _multiband(image, stream, task, deep, remarks)
    reduce_while_decoding(image, task.least)
    if image.size == (width, height) and task.reading.bands is None:
        whole = turbojpeg.pixels(image, stream)
        if whole is not None:
            return _turned(image, whole, task, remarks)
    stored: Image.Image | None = None
    if deep_colours.is_needed(image, deep, task.reading.bits):
        values, remark = _as_stored(image, stream, task, deep)
        stored = Image.fromarray(values)
    else:
        image.load()
    found = stored or image
    upright, swapped = (found, False) if task.reading.exif is False else upright_of(image, found)
    if upright is not found and task.reading.exif is None:
        remarks = (*remarks, TURNED)
    if stored is None:
        pixels, remark = rgb(upright, replace(task, reading=replace(task.reading, bits=None)) if deep else task)
        if deep and image.mode in ("RGB", "RGBA", "LA"):
            remark = of_high_bytes(pixels, deep)
    else:
        pixels = np.array(upright)
    return DecodedImage(
        pixels, *((height, width) if swapped else (width, height)), remarks=(*remarks, remark) if remark else remarks
    )


def _turned(image: Image.Image, pixels: NDArray[np.uint8], task: Task, remarks: tuple[str, ...]) -> DecodedImage:
    turned = pixels if task.reading.exif is False else bands.upright(pixels, _orientation(image))
    if turned is not pixels and task.reading.exif is None:
        remarks = (*remarks, TURNED)
    return DecodedImage(np.ascontiguousarray(turned), turned.shape[1], turned.shape[0], remarks=remarks)


def _multiband(image: Image.Image, stream: IO[bytes], task: Task, deep: int, remarks: tuple[str, ...]) -> DecodedImage:
    """Return the bands as they are stored: those of a palette are its colours, alpha is one like the others."""
    if deep_colours.is_needed(image, deep, deep - 1):
        values = deep_colours.values(image, stream)
    else:
        image.load()
        values = as_stored(image)
    turned = values if task.reading.exif is False else bands.upright(values, _orientation(image))
    if turned is not values and task.reading.exif is None:
        remarks = (*remarks, TURNED)
    return DecodedImage.of_bands(turned, task.reading, deep or None, remarks)


def as_stored(image: Image.Image) -> NDArray[Any]:
    """Return (h, w, bands) of a picture: its own, alpha included, or red, green and blue of other colours.

    >>> as_stored(Image.new("LA", (1, 1), (7, 9))).tolist(), as_stored(Image.new("1", (1, 1), 1)).tolist()
    ([[[7, 9]]], [[[255]]])
    """
    if image.mode == "1":
        image = image.convert("L")
    whole = image.mode in ("L", "LA", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16")
    found = np.array(image if whole else image.convert("RGB"))
    return found[:, :, None] if found.ndim == 2 else found


def size(stream: IO[bytes], task: Task) -> tuple[int, int]:
    """Return (width, height) of the upright image, from its header alone."""
    image = opened(stream, task.max_pixels)
    try:
        turned = image.getexif().get(_ORIENTATION_TAG) in _SWAPS_SIDES
    except Exception:  # as in `upright_of`
        turned = False
    return (image.height, image.width) if turned else (image.width, image.height)


def opened(stream: IO[bytes], max_pixels: int) -> Image.Image:
    """Open an image and look at its header; ImageError for one that is too large."""
    try:
        image = Image.open(stream, formats=NAMES)
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise too_large(int(found[1]) if found else None, max_pixels) from error
    if image.width * image.height > max_pixels:
        raise too_large(image.width * image.height, max_pixels)
    return image


def _at_frame(image: Image.Image, frame: int) -> tuple[str, ...]:
    """Go to a frame, counted from 1; say where there are others than the first and nobody chose."""
    if image.format not in _WITH_FRAMES:
        several = False
    elif image.format == "TIFF":
        several = _has_second_page(image)
    else:
        several = bool(getattr(image, "is_animated", False))
    if frame > 1:
        if not several or frame > getattr(image, "n_frames", 1):
            raise ImageError(f"has {getattr(image, 'n_frames', 1)} frames, and frame {frame} is asked for")
        image.seek(frame - 1)
        return ()
    return (SEVERAL_FRAMES,) if several else ()


def _has_second_page(image: Any) -> bool:
    """Whether a TIFF says where a second page begins; pages are not counted, there may be thousands."""
    return bool(image.tag_v2.next)


def _as_stored(image: Image.Image, stream: IO[bytes], task: Task, deep: int) -> tuple[NDArray[np.uint8], str]:
    """Return (h, w, 3) uint8 of a deep image of which Pillow keeps too little, and a remark on its depth."""
    stored = deep_colours.values(image, stream)
    bands = task.reading.bands or ((1, 2, 3) if stored.shape[2] >= 3 else (1,))
    return eight_bits(from_bands(stored, bands), deep, task.reading.bits)


def reduce_while_decoding(image: Image.Image, least: Least | None) -> None:
    """Have a JPEG decoded at a part of its size, where that is enough."""
    if least is None or image.format not in ("JPEG", "MPO"):
        return
    short, long = min(image.size), max(image.size)
    scale = next((s for s in (8, 4, 2) if short // s >= least.short and long // s >= least.long), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))


def upright_of(image: Image.Image, pixels: Image.Image | None = None) -> tuple[Image.Image, bool]:
    """Apply the EXIF rotation, to `pixels` where they were decoded otherwise; also say whether sides changed places."""
    pixels = image if pixels is None else pixels
    orientation = _orientation(image)
    # A damaged tag may be anything, a tuple or a float included.
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return (pixels, False) if method is None else (pixels.transpose(method), orientation in _SWAPS_SIDES)


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged metadata of any kind must not cost an image whose pixels are fine
        return None


def rgb(image: Image.Image, task: Task) -> tuple[NDArray[np.uint8], str]:
    """Return (h, w, 3) uint8 of an image of any mode, and a remark on its depth, "" for none."""
    bands = task.reading.bands
    if image.mode == "F":
        raise ImageError("has floating-point pixels of unknown range; convert it to 8 or 16 bit")
    if image.mode == "I" or image.mode.startswith("I;16"):
        if bands not in (None, (1,)):
            raise ImageError(f"has one band, and bands={','.join(map(str, bands or ()))} are asked for")
        values, remark = eight_bits(np.asarray(image), 16, task.reading.bits)
        return grey(values), remark
    # Colours behind transparent pixels stay as they are; left in, the key makes Pillow warn.
    image.info.pop("transparency", None)
    if image.mode in ("PA", "La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    # A copy, since what Pillow hands out is read-only and torch warns of that.
    pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return (pixels if bands is None else np.ascontiguousarray(from_bands(pixels, bands))), ""
