"""From a decoded image to what the network takes: resize, centre crop, normalise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers import banded
from uncertainty.classifiers.resizers import ANTIALIASED, known_filter, resize, resize_bands
from uncertainty.defaults import DRAFT
from uncertainty.errors import ImageError, ModelError
from uncertainty.images.bands import Axes, Bands, Multiband
from uncertainty.images.decoding import DecodedImage, Least, Reading
from uncertainty.images.formats.npy import of_array
from uncertainty.images.quality import LONG_SIDE

Resizing = Literal["short_side", "exact", "squash", "border"]
# A 1 x 20,000 pixel image must not grow to gigabytes before its centre is cut out; in units of the short side.
_LONGEST_SIDE_BEFORE_CROP = 8
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL = {"mean": (_IMAGENET_MEAN, 0.0), "std": (_IMAGENET_STD, 1.0)}  # of colours, and of other bands


@dataclass(frozen=True)
class Preprocess:
    """Resize the short side to floor(size / crop_pct), crop the centre, scale to 0..1, subtract mean, divide by std.

    Parameters
    ----------
    size : side of the square input in pixels, or its height and width.
    crop_pct : share of the resized short side that the crop keeps, in (0, 1]; timm's meaning.
    resize : "short_side" keeps the aspect and crops; "exact" squeezes the whole image into the input; "squash" squeezes
        it into size / crop_pct and crops; "border" keeps the aspect, fits the long side and fills up with the mean.
    interpolation : a filter of `resizer`, see `resizers.FILTERS`.
    mean, std : for each channel, or one number for all, in units of `range`.
    draft : how many times the pixels that it needs a large JPEG keeps while it is decoded, on each side, at a half, a
        quarter or an eighth of its size; that is several times faster and changes pixels a little. 0: full size.
        Only for resizers that average over all pixels; others would see another image.
    grayscale : turn to luminance and give the network one channel, normalised by the first mean and std.
    bits, bands, frame, exif : how a file of deep values, of more bands than three, of several pages or frames, or with
        an EXIF orientation is read, see `uncertainty.images.formats.base.Reading`: the same for reference, calibration
        and incoming images.
    resizer : "pillow", "opencv", "torch" (F.interpolate), "torchvision" (on tensors of bytes) or "keras" (its layer
        Resizing): the library that resized in training.
    antialias : whether it averaged over all pixels that it left out; None: as the library does by itself.
    channels : "rgb", or "bgr" for a network that was trained on what OpenCV reads; or a number: the network takes so
        many bands as they are stored, in the order of `bands`, by default all that there are. So say other
        `bands` than one or three, and mean and std of more than three numbers.
    range : what white is before mean and std: 1, or 255 for a network that takes bytes. Of bands other than 1 is the
        stored value that is white, and they are left as they are stored; 1: they are divided by what their type holds
        (floats are not).
    axes : where bands are in arrays, "hwc" or "chw"; None: where their number says so without doubt.
    show : which three of an image's bands, or which one, are shown to people, quality statistics and second opinion.
    crop_offset : where a crop begins if half a pixel is left over: "round" to the even one, as torchvision and timm
        do, or "floor", as the image processors of transformers do.

    Examples
    --------
    >>> import numpy as np
    >>> half = Preprocess(size=2, mean=0.5, std=0.5)
    >>> half(np.full((4, 6, 3), 255, np.uint8)).tolist()[0]
    [[1.0, 1.0], [1.0, 1.0]]

    """

    size: int | tuple[int, int] = 224
    crop_pct: float = 1.0
    resize: Resizing = "short_side"
    interpolation: str = "bicubic"
    mean: float | tuple[float, ...] = _IMAGENET_MEAN
    std: float | tuple[float, ...] = _IMAGENET_STD
    grayscale: bool = False
    draft: int = DRAFT
    bits: int | None = None
    bands: tuple[int, ...] | None = None
    frame: int = 1
    exif: bool | None = None
    resizer: str = "pillow"
    antialias: bool | None = None
    channels: Literal["rgb", "bgr"] | int = "rgb"
    range: float = 1.0
    crop_offset: Literal["round", "floor"] = "round"
    axes: Axes | None = None
    show: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("bands", "show"):
            object.__setattr__(self, name, None if getattr(self, name) is None else tuple(getattr(self, name)))
        object.__setattr__(self, "channels", banded.channels_of(self.channels, self.mean, self.std, self.bands))
        if isinstance(self.channels, int) and self.channels < 1:
            raise ModelError(
                f"Preprocess channels is {self.channels}; give how many bands the network takes, at least 1"
            )
        self._check_numbers()
        _ = self.reading  # which says what is wrong with it
        if self.resize not in get_args(Resizing):
            raise ModelError(f"Preprocess resize is {self.resize!r}; it must be one of {', '.join(get_args(Resizing))}")
        name = known_filter(self.resizer, self.interpolation, self.antialias)
        object.__setattr__(self, "interpolation", name)
        if self.channels not in ("rgb", "bgr") and not isinstance(self.channels, int):
            raise ModelError(f"Preprocess channels is {self.channels!r}; it must be 'rgb', 'bgr' or a number of bands")
        if self.grayscale and self.reading.multiband is not None:
            raise ModelError(f"Preprocess grayscale is of ordinary pictures, and channels is {self.channels}; say one")
        if self.crop_offset not in ("round", "floor"):
            raise ModelError(f"Preprocess crop_offset is {self.crop_offset!r}; it must be 'round' or 'floor'")

    def _check_numbers(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, banded.numbers(name, getattr(self, name), self.channels, _USUAL[name]))
        if not _is_size(self.size) or not isinstance(self.crop_pct, int | float):
            raise ModelError(f"Preprocess needs a whole number as size and a number as crop_pct; got {self}")
        if not isinstance(self.size, int):
            height, width = self.size
            object.__setattr__(self, "size", height if height == width else (height, width))
        object.__setattr__(self, "crop_pct", float(self.crop_pct))
        object.__setattr__(self, "range", float(self.range))
        if not isinstance(self.draft, int) or self.draft < 0:
            raise ModelError(f"Preprocess draft is {self.draft!r}; it must be a whole number, 0 for full size")
        if min(self.sides) < 1 or not 0 < self.crop_pct <= 1 or min(self._numbers("std")) <= 0:
            raise ModelError(f"Preprocess needs size >= 1, crop_pct in (0, 1] and std > 0; got {self}")
        if not 0 < self.range < math.inf:
            raise ModelError(f"Preprocess range is {self.range}; give what white is before mean and std: 1 or 255")
        if self.range != 1 and self._numbers("mean") == _IMAGENET_MEAN:
            raise ModelError(
                f"Preprocess range is {self.range:g} and mean and std are those of 0..1; state them in the same units, "
                "mean=0 and std=1 where nothing is subtracted"
            )

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Turn (h, w, 3) uint8, or an array of bands, into (channels, height, width) float32."""
        if self.reading.multiband is not None:
            return self.of(of_array(pixels, self.reading))
        values = self._fitted(pixels)
        if self.grayscale:
            from PIL import Image

            return self._looked_up(np.asarray(Image.fromarray(_rounded(values)).convert("L")), 0)[None]
        inputs = np.empty((3, *self.sides), dtype=np.float32)
        order = (2, 1, 0) if self.channels == "bgr" else (0, 1, 2)
        for channel, source in enumerate(order):
            self._looked_up(values[:, :, source], channel, inputs[channel])
        return inputs

    def of_bytes(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (h, w, `depth`) uint8, the very bands that the network takes, into (channels, height, width) float32."""
        if self.reading.multiband is None:
            return self(pixels)
        return self.of(DecodedImage(pixels, pixels.shape[1], pixels.shape[0], bands=Bands(pixels, 255.0)))

    def of(self, image: DecodedImage) -> NDArray[np.float32]:
        """Turn a decoded image into (channels, height, width) float32; ImageError for one read without its bands."""
        if self.reading.multiband is None:
            return self(image.pixels)
        if image.bands is None:
            raise ImageError("was read as a picture, and the network takes its bands")
        white, (mean, std) = image.bands.white, (self._numbers(name) for name in ("mean", "std"))
        stored, border = image.bands.values, np.asarray(mean) * (white / self.range)
        values = self._fitted(stored, np.rint(border) if stored.dtype == np.uint8 else border)
        return banded.normalised(values, white, self.range, mean, std)

    def _looked_up(
        self, values: NDArray[Any], channel: int, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return what values of 0..255 become in a channel."""
        if values.dtype == np.uint8:
            return np.take(self._table[channel], values, out=out, mode="clip")  # the mode that needs no copy
        first, last = self._table[channel, 0], self._table[channel, -1]
        found = (values * ((last - first) / np.float32(255)) + first).astype(np.float32)
        if out is not None:
            out[...] = found
        return np.asarray(found)

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """(channels, 256) what each value of a channel becomes: looking it up is quicker than computing it."""
        shift, scale = (np.asarray(self._numbers(name), dtype=np.float32)[:, None] for name in ("mean", "std"))
        values = np.arange(256, dtype=np.float32) / np.float32(255) * np.float32(self.range)
        return np.asarray((values - shift) / scale)

    def _numbers(self, name: Literal["mean", "std"]) -> tuple[float, ...]:
        values: Any = getattr(self, name)
        return tuple(values)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the input."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def planes(self) -> int:
        """How many channels the network takes.

        >>> Preprocess(grayscale=True).planes, Preprocess(channels=12).planes
        (1, 12)
        """
        if isinstance(self.channels, int):
            return self.channels
        return 1 if self.grayscale else 3

    @property
    def depth(self) -> int:
        """How many bands an image has of which nothing is left out: three also for a network of one grey channel."""
        return 3 if self.reading.multiband is None else self.planes

    @property
    def numbers(self) -> tuple[float, float]:
        """The smallest and the largest number that an input can hold.

        >>> Preprocess(mean=0.5, std=0.5).numbers
        (-1.0, 1.0)
        """
        table = self._table[:1] if self.grayscale else self._table
        return float(table.min()), float(table.max())

    @property
    def _before_crop(self) -> tuple[int, int]:
        """What a crop is cut out of, at least: height and width."""
        height, width = (math.floor(side / self.crop_pct) for side in self.sides)
        return height, width

    @cached_property
    def reading(self) -> Reading:
        """How the pixels come out of a file."""
        several = None
        if isinstance(self.channels, int):
            several = Multiband(self.channels, None if self.range == 1 else self.range, self.show)
        return Reading(self.bits, self.bands, self.frame, self.exif, self.axes, several)

    @property
    def least(self) -> Least | None:
        """The size that a decoded image must keep for network and image statistics; None: all of it."""
        averages = self.resizer == "pillow" and self.interpolation != "nearest"
        if not self.draft or not averages or self.reading.multiband is not None:
            return None
        return Least(self.draft * max(self._before_crop), self.draft * LONG_SIDE)

    def _fitted(self, pixels: NDArray[Any], border: NDArray[Any] | None = None) -> NDArray[Any]:
        """Resize and crop (h, w, c) to the sides of the input; `border` (c,) is what fills up, None: the mean."""
        if self.resize == "exact":
            return self._resized(pixels, self.sides)
        if self.resize == "squash":
            return self._cropped(self._resized(pixels, self._before_crop))
        pixels = _trimmed(pixels) if self.resize == "short_side" else pixels
        found = self._resized(pixels, self._size_in_proportion(pixels.shape[0], pixels.shape[1]))
        if self.resize == "border":
            mean = np.rint([255 * m / self.range for m in self._numbers("mean")])
            found = _bordered(found, self.sides, mean if border is None else border)
        return self._cropped(found)

    def _size_in_proportion(self, height: int, width: int) -> tuple[int, int]:
        """Return what an image of this height and width becomes, with its aspect kept."""
        before = self._before_crop
        if self.resize == "short_side" and before[0] == before[1]:
            # The side that decides becomes that to the pixel; the other is cut off to whole pixels, as by torchvision.
            share = Fraction(before[0], min(height, width))
            return max(1, math.floor(height * share)), max(1, math.floor(width * share))
        ratio = (min if self.resize == "short_side" else max)(height / before[0], width / before[1])
        return max(1, round(height / ratio)), max(1, round(width / ratio))  # timm's way, in its order of arithmetic

    def _cropped(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Cut the input out of the middle."""
        spare = [old - new for old, new in zip(pixels.shape[:2], self.sides, strict=True)]
        top, left = (n // 2 if self.crop_offset == "floor" else round(n / 2) for n in spare)
        return pixels[top : top + self.sides[0], left : left + self.sides[1]]

    def _resized(self, pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
        antialias = ANTIALIASED[self.resizer] if self.antialias is None else self.antialias
        by_band = self.reading.multiband is not None
        return np.asarray(
            (resize_bands if by_band else resize)(pixels, size, self.resizer, self.interpolation, antialias)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        # As before there were these settings, so that classifiers keep their fingerprints.
        unset: dict[str, Any] = {"draft": 0, "bits": None, "bands": None, "frame": 1, "exif": None}
        unset |= {"resizer": "pillow", "antialias": None, "channels": "rgb", "range": 1.0, "crop_offset": "round"}
        unset |= {"axes": None, "show": None}
        return {k: v for k, v in settings.items() if k not in unset or v != unset[k]}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """Undo `to_dict`; raises ModelError for settings that there are not."""
        if unknown := sorted(settings.keys() - {field.name for field in fields(cls)}):
            raise ModelError(f"Preprocess has no setting {unknown[0]!r}; it has {[f.name for f in fields(cls)]}")
        # What `to_dict` wrote has a size, and no draft where that is 0, which is not the default.
        return cls(**({"draft": 0} if "size" in settings else {}) | settings)


def least_of(first: Preprocess, second: Preprocess | None) -> Least | None:
    """Return the size that is enough for both; None: all of it."""
    if second is None or first.least is None or second.least is None:
        return first.least if second is None else None
    return first.least | second.least


def _is_size(size: Any) -> bool:
    if isinstance(size, tuple | list):
        return len(size) == 2 and all(isinstance(side, int) for side in size)
    return isinstance(size, int)


def _trimmed(pixels: NDArray[Any]) -> NDArray[Any]:
    longest = _LONGEST_SIDE_BEFORE_CROP * min(pixels.shape[:2])
    # As much from either end, or the centre would move by half a pixel, which is much of a narrow image.
    top, left = (max(0, (side - longest) // 2) for side in pixels.shape[:2])
    return pixels[top : pixels.shape[0] - top, left : pixels.shape[1] - left] if left or top else pixels


def _bordered(pixels: NDArray[Any], size: tuple[int, int], colour: NDArray[Any]) -> NDArray[Any]:
    """Put an image into the middle of a larger one of one colour, where it is smaller than `size`."""
    height, width = (max(old, new) for old, new in zip(pixels.shape[:2], size, strict=True))
    found = np.empty((height, width, len(colour)), dtype=pixels.dtype)
    found[...] = colour
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    found[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return found


def _rounded(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values if values.dtype == np.uint8 else values.round().clip(0, 255).astype(np.uint8))
