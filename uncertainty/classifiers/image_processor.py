"""An image processor of transformers as a `Preprocess`, or a refusal that names the setting that can't be said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.preprocess import Preprocess, Resizing
from uncertainty.classifiers.resizers import FILTERS
from uncertainty.errors import ModelError, in_one_line

_RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_SQUEEZED_FROM = 384  # ConvNeXt crops smaller inputs and squeezes larger ones
_APART = 1.6  # grey levels: two libraries that round, never another size or place


@dataclass(frozen=True)
class _Geometry:
    """What is resized to, short side or both, and what is cut out of it; None: nothing is."""

    before: int | tuple[int, int]
    crop: tuple[int, int] | None = None


def preprocess_of(processor: Any, channels: int = 3) -> Preprocess:
    """Return what an image processor does; ModelError names the setting that can't be expressed.

    The answer is compared with what the processor itself makes of two images. Orientation is turned upright, as the
    pipeline of transformers does when it loads an image, and JPEGs are decoded at full size.
    """
    kind = type(processor).__name__.removesuffix("Fast").removesuffix("Pil")
    for key in ("do_pad", "do_thumbnail", "do_align_long_axis", "do_crop_margin", "do_color_quantize"):
        _refuse_if(processor, key, bool(getattr(processor, key, False)))
    found = Preprocess(
        **_shape(processor, _geometry(processor, kind)),
        **_values(processor, kind),
        **_filter(processor),
        channels="bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb",
        crop_offset="floor",
        grayscale=channels == 1,
        draft=0,
        exif=True,
    )
    if not found.grayscale:
        _compare(found, processor)
    return found


def _geometry(processor: Any, kind: str) -> _Geometry:
    _refuse_if(processor, "do_resize", not processor.do_resize)
    size = _sides(getattr(processor, "size", None))
    crop = _sides(processor.crop_size) if getattr(processor, "do_center_crop", False) else {}
    cut = (crop["height"], crop["width"]) if crop.keys() == {"height", "width"} else None
    _refuse_if(processor, "crop_size", bool(crop) and cut is None)
    if size.keys() == {"shortest_edge"}:
        return _special(processor, kind, size["shortest_edge"], cut)
    _refuse_if(processor, "size", size.keys() != {"height", "width"})
    return _Geometry((size["height"], size["width"]), cut)


def _special(processor: Any, kind: str, side: int, cut: tuple[int, int] | None) -> _Geometry:
    """Return what some families make of a short side."""
    if kind == "ConvNextImageProcessor":
        _refuse_if(processor, "crop_size", cut not in (None, (side, side)))
        if side >= _SQUEEZED_FROM:
            return _Geometry((side, side))
        return _Geometry(int(side / processor.crop_pct), (side, side))
    if kind == "PoolFormerImageProcessor" and processor.crop_pct is not None:
        return _Geometry(int(side / processor.crop_pct), cut)
    return _Geometry(int(256 / 224 * side) if kind == "LevitImageProcessor" else side, cut)


def _sides(size: Any) -> dict[str, int]:
    given = dict(size) if isinstance(size, Mapping) else getattr(size, "__dict__", {})
    return {name: int(value) for name, value in given.items() if value is not None}


def _shape(processor: Any, geometry: _Geometry) -> dict[str, Any]:
    """Return size, crop_pct and resize."""
    before, crop = geometry.before, geometry.crop
    if isinstance(before, tuple) and crop in (None, before):
        return {"size": before, "resize": "exact"}
    # Without a crop, images of different shapes would stay so; a crop of another aspect is no share of a short side.
    _refuse_if(processor, "do_center_crop", crop is None)
    height, width = crop or (0, 0)
    _refuse_if(processor, "crop_size", isinstance(before, int) and height != width)
    sides = (before, before) if isinstance(before, int) else before
    share = _share((height, width), sides)
    if share is None:
        raise _cannot(processor, "crop_size")
    resize: Resizing = "short_side" if isinstance(before, int) else "squash"
    return {"size": (height, width), "crop_pct": share, "resize": resize}


def _share(crop: tuple[int, int], before: tuple[int, int]) -> float | None:
    """Return a crop_pct by which both sides, divided and cut off to whole pixels, are what is resized to; or None.

    >>> _share((224, 224), (256, 256)), _share((224, 224), (200, 200))
    (0.875, None)
    """
    share = min(new / old for new, old in zip(crop, before, strict=True))
    while share <= 1 and share > 0:
        found = tuple(math.floor(side / share) for side in crop)
        if found == before:
            return share
        if any(a > b for a, b in zip(found, before, strict=True)):
            return None
        share = math.nextafter(share, 0)  # a quotient that was rounded up
    return None


def _values(processor: Any, kind: str) -> dict[str, Any]:
    """Return range, mean and std: all that a processor does with values is one shift and one scale."""
    factor = processor.rescale_factor if processor.do_rescale else 1.0
    white = 255 * float(factor)
    normalised = bool(processor.do_normalize) and kind != "MobileViTImageProcessor"  # which has no such step
    mean, std = np.zeros(3), np.ones(3)
    if normalised:
        mean, std = mean + np.asarray(processor.image_mean), std * np.asarray(processor.image_std)
    if processor.do_rescale and getattr(processor, "rescale_offset", False):
        mean = mean + 1
    if getattr(processor, "include_top", False):  # EfficientNet's, as its checkpoints were trained
        std = std * np.asarray(processor.image_std)
    return {"range": 1.0 if abs(white - 1) < 1e-6 else white, "mean": tuple(mean), "std": tuple(std)}


def _filter(processor: Any) -> dict[str, Any]:
    """Return resizer and interpolation: transformers resizes by torchvision where that is installed, else by Pillow."""
    code = processor.resample
    name = getattr(code, "value", 2 if code is None else code)  # torchvision's modes have names, Pillow's numbers
    resizer = "torchvision" if getattr(processor, "backend", "pil") == "torchvision" else "pillow"
    if isinstance(name, int) and 0 <= name < len(_RESAMPLE):
        name = _RESAMPLE[name]
        name = "nearest-exact" if resizer == "torchvision" and name == "nearest" else name
    known = FILTERS[resizer]
    if name not in known:
        raise _cannot(processor, "resample")
    return {"interpolation": name, "resizer": resizer}


def _compare(found: Preprocess, processor: Any) -> None:
    """Refuse a processor that makes something else of an image than what was read from its settings."""
    from PIL import Image

    for pixels in _pictures(2 * max(found.sides)):
        try:
            theirs = processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0].numpy()
        except Exception as error:  # of a library: anything may be raised
            raise ModelError(f"{type(processor).__name__} fails on an image: {in_one_line(error, 300)}") from error
        ours = found(pixels)
        step = found.range / 255 / np.asarray(found.std, dtype=np.float64)[:, None, None]
        if theirs.shape != ours.shape or (abs(theirs - ours) / step).max() > _APART:
            raise ModelError(
                f"{type(processor).__name__} prepares images in a way that no preprocessing of a model spec says; "
                "load the model by a function of yours that returns a Classifier"
            )


def _pictures(side: int) -> list[NDArray[np.uint8]]:
    """Return two smooth pictures, one upright, with sides that leave odd rests."""
    from PIL import Image

    rough = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(rough).resize((int(1.43 * side) | 1, side | 1), Image.Resampling.BICUBIC))
    return [wide, np.ascontiguousarray(wide.transpose(1, 0, 2))]


def _refuse_if(processor: Any, key: str, wrong: bool) -> None:
    if wrong:
        raise _cannot(processor, key)


def _cannot(processor: Any, key: str) -> ModelError:
    value, size = getattr(processor, key, None), _sides(getattr(processor, "size", None))
    shown = value if value is None or isinstance(value, bool | int | float | str) else _sides(value)
    beside = "" if key == "size" else f" beside size={size}"
    return ModelError(
        f"{type(processor).__name__} has {key}={shown}{beside}, which no preprocessing of a model spec says; load the "
        "model by a function of yours that returns a Classifier"
    )
