"""From a decoded image to what the network takes: resize, centre crop, normalise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.defaults import DRAFT
from uncertainty.errors import ModelError
from uncertainty.images.decoding import Least, Reading
from uncertainty.images.quality import LONG_SIDE

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
# A 1 x 20,000 pixel image must not grow to gigabytes before its centre is cut out; in units of the short side.
_LONGEST_SIDE_BEFORE_CROP = 8


@dataclass(frozen=True)
class Preprocess:
    """Resize the short side to floor(size / crop_pct), crop the centre, scale to 0..1, subtract mean, divide by std.

    Parameters
    ----------
    size : side of the square input in pixels.
    crop_pct : share of the resized short side that the crop keeps, in (0, 1]; timm's meaning.
    resize : "short_side" keeps the aspect and crops; "exact" squeezes the whole image into the square.
    interpolation : Pillow's filter of that name.
    mean, std : for each of the three channels, in units of 0..1.
    draft : how many times the pixels that it needs a large JPEG keeps while it is decoded, on each side, at a half, a
        quarter or an eighth of its size; that is several times faster and changes pixels a little. 0: full size.
    grayscale : turn to luminance and give the network one channel, normalised by the first mean and std.
    bits, bands, frame : how a file of deep values, of more bands than three, or of several pages or frames is read,
        see `uncertainty.images.formats.base.Reading`: the same for reference, calibration and incoming images.

    Examples
    --------
    >>> import numpy as np
    >>> half = Preprocess(size=2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> half(np.full((4, 6, 3), 255, np.uint8)).tolist()[0]
    [[1.0, 1.0], [1.0, 1.0]]

    """

    size: int = 224
    crop_pct: float = 1.0
    resize: Literal["short_side", "exact"] = "short_side"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    grayscale: bool = False
    draft: int = DRAFT
    bits: int | None = None
    bands: tuple[int, ...] | None = None
    frame: int = 1

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, _three_numbers(name, getattr(self, name)))
        if not isinstance(self.size, int) or not isinstance(self.crop_pct, int | float):
            raise ModelError(f"Preprocess needs a whole number as size and a number as crop_pct; got {self}")
        object.__setattr__(self, "crop_pct", float(self.crop_pct))
        if not isinstance(self.draft, int) or self.draft < 0:
            raise ModelError(f"Preprocess draft is {self.draft!r}; it must be a whole number, 0 for full size")
        object.__setattr__(self, "bands", None if self.bands is None else tuple(self.bands))
        _ = self.reading  # which says what is wrong with it
        if self.size < 1 or not 0 < self.crop_pct <= 1 or min(self.std) <= 0:
            raise ModelError(f"Preprocess needs size >= 1, crop_pct in (0, 1] and std > 0; got {self}")
        if self.resize not in ("short_side", "exact"):
            raise ModelError(f"Preprocess resize is {self.resize!r}; it must be 'short_side' or 'exact'")
        if self.interpolation not in ("nearest", "bilinear", "bicubic", "lanczos"):
            raise ModelError(f"Preprocess interpolation {self.interpolation!r} is not one of Pillow's filters")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (h, w, 3) uint8 into (channels, size, size) float32."""
        from PIL import Image

        image = self._fitted(Image.fromarray(pixels))
        if self.grayscale:
            return np.take(self._table[0], np.asarray(image.convert("L")))[None]
        values = np.asarray(image)
        inputs = np.empty((3, self.size, self.size), dtype=np.float32)
        for channel, numbers in enumerate(self._table):
            np.take(numbers, values[:, :, channel], out=inputs[channel], mode="clip")  # the mode that needs no copy
        return inputs

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """(3, 256) what each value of a channel becomes: looking it up is quicker than computing it."""
        shift, scale = (np.asarray(v, dtype=np.float32)[:, None] for v in (self.mean, self.std))
        return np.asarray((np.arange(256, dtype=np.float32) / np.float32(255) - shift) / scale)

    @cached_property
    def reading(self) -> Reading:
        """How the pixels come out of a file."""
        return Reading(self.bits, self.bands, self.frame)

    @property
    def least(self) -> Least | None:
        """The size that a decoded image must keep for network and image statistics; None: all of it."""
        short = math.floor(self.size / self.crop_pct)
        return Least(self.draft * short, self.draft * LONG_SIDE) if self.draft else None

    def _fitted(self, image: Any) -> Any:
        from PIL import Image

        resample = Image.Resampling[self.interpolation.upper()]
        if self.resize == "exact":
            return image.resize((self.size, self.size), resample)
        image = _trimmed(image)
        short = math.floor(self.size / self.crop_pct)
        width, height = (short * side // min(image.size) for side in image.size)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return image.resize((width, height), resample).crop((left, top, left + self.size, top + self.size))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        # As before there were these settings, so that classifiers keep their fingerprints.
        unset = {"draft": 0, "bits": None, "bands": None, "frame": 1}
        return {k: v for k, v in settings.items() if k not in unset or v != unset[k]}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """Undo `to_dict`; raises ModelError for settings that there are not."""
        if unknown := sorted(settings.keys() - {field.name for field in fields(cls)}):
            raise ModelError(f"Preprocess has no setting {unknown[0]!r}; it has {[f.name for f in fields(cls)]}")
        return cls(**settings)


def least_of(first: Preprocess, second: Preprocess | None) -> Least | None:
    """Return the size that is enough for both; None: all of it."""
    if second is None or first.least is None or second.least is None:
        return first.least if second is None else None
    return first.least | second.least


def _three_numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ModelError(f"Preprocess {name} needs 3 numbers, one a channel; got {values!r}")
    return numbers


def _trimmed(image: Any) -> Any:
    longest = _LONGEST_SIDE_BEFORE_CROP * min(image.size)
    # As much from either end, or the centre would move by half a pixel, which is much of a narrow image.
    left, top = (max(0, (side - longest) // 2) for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top)) if left or top else image
