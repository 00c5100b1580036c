"""What all formats share: what is asked of a file, and the pixels that come out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.errors import ImageError, ModelError
from uncertainty.images.bands import ALL, Axes, Bands, Multiband, in_bands
from uncertainty.images.formats.depth import deep
from uncertainty.images.in_flight import IN_FLIGHT

MAX_PIXELS = 50_000_000
_BITS = range(8, 33)


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


@dataclass(frozen=True)
class Reading:
    """Which picture of a file is meant, and how its values become 8 bits; part of what a model was trained on.

    Parameters
    ----------
    bits : how many bits of a deep value are used, such as 12 for 0..4095 in 16; None: all that the file declares.
    bands : which three bands are red, green and blue, or which one is grey, counted from 1 as GDAL counts.
    frame : which page of a TIFF, frame of an animation or of a DICOM series, counted from 1.
    exif : whether the EXIF orientation is applied; None: it is, and a remark says so. A TIFF or HEIF always is upright:
        Pillow and libheif turn those themselves, in everybody's training too.
    axes : where bands are in an array, "hwc" or "chw"; None: where their number says so without doubt.
    multiband : how many bands the network takes as they are stored, None: a picture of 8 bits, red, green and blue.
        `bands` then are those of the file that it takes, of any number.

    >>> Reading(bits=12, bands=(4, 3, 2))
    Reading(bits=12, bands=(4, 3, 2), frame=1, exif=None, axes=None, multiband=None)

    """

    bits: int | None = None
    bands: tuple[int, ...] | None = None
    frame: int = 1
    exif: bool | None = None
    axes: Axes | None = None
    multiband: Multiband | None = None

    def __post_init__(self) -> None:
        if self.bits is not None and self.bits not in _BITS:
            raise ModelError(f"bits is {self.bits!r}; give how many bits of a value are used, 8 to 32")
        counts = (1, 3) if self.multiband is None else (self.multiband.count,)
        if self.bands is not None and (len(self.bands) not in counts or min(self.bands) < 1):
            what = "three for red, green and blue, or one" if counts == (1, 3) else f"the {counts[0]} of the network"
            raise ModelError(f"bands are {self.bands!r}; give {what}, counted from 1")
        if self.frame < 1:
            raise ModelError(f"frame is {self.frame!r}; frames are counted from 1")
        if self.axes not in (None, "hwc", "chw"):
            raise ModelError(f"axes is {self.axes!r}; say hwc for arrays (h, w, bands), chw for (bands, h, w)")

    @property
    def there(self) -> int:
        """How many bands an array must have; negative: at least so many, of which some are chosen."""
        if self.bands is not None:
            return -max(self.bands)
        return 3 if self.multiband is None else self.multiband.count

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the usual reading, as plain JSON values.

        >>> Reading(bands=(4, 3, 2)).to_dict(), Reading.from_dict(Reading(bands=(4, 3, 2)).to_dict()).bands
        ({'bands': [4, 3, 2]}, (4, 3, 2))
        """
        return {k: _plain(v) for k, v in asdict(self).items() if v != getattr(WHOLE, k)}

    @classmethod
    def from_dict(cls, settings: Any) -> Reading:
        """Undo `to_dict`; of anything else the usual reading."""
        try:
            known = _with_tuples(settings or {})
            if "multiband" in known:
                known["multiband"] = Multiband(**_with_tuples(known["multiband"]))
            return cls(**known)
        except (AttributeError, TypeError, ValueError, ModelError):
            return WHOLE


def _with_tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    return list(value) if isinstance(value, tuple) else value


WHOLE = Reading()
TO_SHOW = Reading(multiband=Multiband(ALL))
"""For a picture of what nobody described: its first three bands, as bright as they are."""


@dataclass(frozen=True)
class Task:
    """What is asked of one file: the reading, the most pixels that it may have, and how many are enough."""

    reading: Reading = WHOLE
    max_pixels: int = MAX_PIXELS
    least: Least | None = None

    def check(self, width: int, height: int, bands: int = 3) -> None:
        """Raise ImageError for a picture that is too large, from its header, before any pixel is decoded.

        Where other threads decode much already, it waits for them.
        """
        if width * height * max(bands, 3) > 3 * self.max_pixels:
            raise too_large(width * height, self.max_pixels, bands)
        IN_FLIGHT.take(width * height * max(bands, 3) // 3)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """Pixels as a classifier wants them, and the size of the image in its file.

    `pixels` is (h, w, 3) uint8 RGB, of a large JPEG perhaps at a part of its size; `width` and `height` are those of
    the file, after its EXIF rotation. `remarks` are what `remarks.in_words` tells of many images together. `bands` are
    the values of a multi-band image, of which `pixels` then are those that are shown.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    remarks: tuple[str, ...] = ()
    bands: Bands | None = None

    @classmethod
    def of_bands(
        cls, values: NDArray[Any], reading: Reading, bits: int | None = None, remarks: tuple[str, ...] = ()
    ) -> DecodedImage:
        """Return a multi-band image of (h, w, b) upright values that use so many bits, see `bands.in_bands`."""
        multiband = reading.multiband or Multiband(ALL)
        shown, bands = in_bands(values, multiband, reading.bands, reading.bits or bits)
        if values.dtype == np.uint16 and multiband.white is None and reading.bits is None:
            remarks = (*remarks, deep(bits or 16, int(bands.values.max()).bit_length()))
        return cls(shown, values.shape[1], values.shape[0], remarks, bands)


def too_large(pixels: int | None, limit: int, bands: int = 3) -> ImageError:
    """Return the error for a picture of so many pixels (None: nobody knows how many)."""
    found = "too many pixels" if pixels is None else f"{pixels:,} pixels"
    more = f" of {bands} bands" if bands > 3 else ""
    # Pillow has a limit of its own, which a larger max_pixels does not lift.
    limit = min(limit, 2 * (Image.MAX_IMAGE_PIXELS or limit))
    return ImageError(f"has {found}{more}, more than the limit of {limit:,}")


def grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat (h, w) as (h, w, 3).

    >>> grey(np.array([[7]], np.uint8)).tolist()
    [[[7, 7, 7]]]
    """
    return np.repeat(values[:, :, None], 3, axis=2)


def from_bands(values: NDArray[Any], bands: tuple[int, ...]) -> NDArray[Any]:
    """Return three of the bands of (h, w, b), or one three times; ImageError for a band that is not there."""
    if max(bands) > values.shape[2]:
        raise ImageError(f"has {values.shape[2]} bands, and band {max(bands)} is asked for")
    chosen = values[:, :, [band - 1 for band in bands]]
    return chosen if len(bands) == 3 else np.repeat(chosen, 3, axis=2)
