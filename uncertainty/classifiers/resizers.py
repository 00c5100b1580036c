"""Resizing as the library does that a network was trained with: a few grey levels apart, which change answers.

Each takes (h, w, 3) uint8 and gives (height, width, 3), uint8 where the library rounds, float32 where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import MissingDependencyError, ModelError

Resize = Callable[[NDArray[np.uint8], tuple[int, int], str, bool], NDArray[Any]]
"""(pixels, (height, width), interpolation, antialias) to resized pixels."""

_ALSO_CALLED = {"linear": "bilinear", "cubic": "bicubic", "lanczos4": "lanczos"}
FILTERS = {
    "pillow": ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
    "opencv": ("nearest", "bilinear", "bicubic", "area", "lanczos"),
    "torch": ("nearest", "bilinear", "bicubic"),
    "torchvision": ("nearest", "nearest-exact", "bilinear", "bicubic", "lanczos"),
    "keras": ("nearest", "bilinear", "bicubic"),
}
"""What each library offers, by the names that all of them share."""
ANTIALIASED = {"pillow": True, "opencv": False, "torch": True, "torchvision": True, "keras": False}
"""Whether each library averages over all pixels that it leaves out, where nothing is said."""


def known_filter(resizer: str, interpolation: str, antialias: bool | None) -> str:
    """Return the shared name of a filter; ModelError for one that the library does not have.

    >>> known_filter("opencv", "linear", None)
    'bilinear'
    """
    if resizer not in FILTERS:
        raise ModelError(f"Preprocess resizer is {resizer!r}; it must be one of {', '.join(FILTERS)}")
    name = _ALSO_CALLED.get(interpolation, interpolation)
    if name not in FILTERS[resizer]:
        raise ModelError(
            f"Preprocess interpolation {interpolation!r} is no filter of {resizer}: {', '.join(FILTERS[resizer])}"
        )
    if antialias is not None and resizer in ("pillow", "opencv") and antialias != ANTIALIASED[resizer]:
        other = "always averages; resizer=torch does not have to" if resizer == "pillow" else "never does; use area"
        raise ModelError(f"Preprocess antialias is {antialias} and {resizer} {other}")
    return name


def resize(pixels: NDArray[np.uint8], size: tuple[int, int], resizer: str, interpolation: str, antialias: bool) -> Any:
    """Resize by the library that is named; an image of the right size is left as it is."""
    if pixels.shape[:2] == size:
        return pixels
    return _RESIZERS[resizer](pixels, size, interpolation, antialias)


def resize_bands(values: NDArray[Any], size: tuple[int, int], resizer: str, interpolation: str, antialias: bool) -> Any:
    """Resize (h, w, c) of any number of bands, each by itself; bytes as `resize` does, floats without rounding.

    >>> resize_bands(np.ones((4, 4, 5), np.float32), (2, 2), "pillow", "bilinear", True).shape
    (2, 2, 5)
    """
    if values.shape[:2] == size:
        return values
    if values.dtype != np.uint8 and resizer in ("torch", "torchvision", "keras"):
        return _interpolated(values, size, interpolation, antialias)
    bands = range(values.shape[2])
    found = [
        _RESIZERS[resizer](np.ascontiguousarray(values[:, :, k : k + 1]), size, interpolation, antialias) for k in bands
    ]
    return np.stack([band.reshape(size) for band in found], axis=2)


def _pillow(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, antialias: bool) -> NDArray[Any]:
    from PIL import Image

    resample = Image.Resampling[interpolation.upper()]
    one = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    return np.asarray(Image.fromarray(one).resize(size[::-1], resample))


def _opencv(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, antialias: bool) -> NDArray[Any]:
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            "resizer=opencv needs OpenCV; pip install 'uncertainty-vision[opencv]' (or opencv-python-headless)"
        ) from error
    names = {"nearest": "NEAREST", "bilinear": "LINEAR", "bicubic": "CUBIC", "area": "AREA", "lanczos": "LANCZOS4"}
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=getattr(cv2, f"INTER_{names[interpolation]}")))


def _torchvision(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, antialias: bool) -> NDArray[Any]:
    """As torchvision's transforms, and transformers with them, resize a tensor of bytes, in bytes from step to step."""
    import torch
    from torch.nn import functional

    # Channels last, as the pixels lie: the same bytes in half the time of a copy whose channels come first.
    # Pillow lends its own, read-only; torch warns of those.
    owned = np.require(pixels, requirements=["C", "W"])
    values = torch.from_numpy(owned).permute(2, 0, 1)[None]
    options = {} if interpolation.startswith("nearest") else {"align_corners": False, "antialias": antialias}
    try:
        with torch.no_grad():
            found = functional.interpolate(values, size=size, mode=interpolation, **options)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"this torch can't resize bytes by {interpolation!r}; it needs a newer one") from error
    return np.asarray(found[0].numpy().transpose(1, 2, 0))


def _torch(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, antialias: bool) -> NDArray[Any]:
    """As torch resizes numbers with a point, rounded: bicubic up to seven grey levels from torchvision on bytes."""
    found = _interpolated(pixels, size, interpolation, antialias)
    return np.asarray(found.round().clip(0, 255).astype(np.uint8))


def _keras(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, antialias: bool) -> NDArray[Any]:
    """As the layer Resizing does, which answers with floats."""
    return _interpolated(pixels, size, interpolation, antialias)


def _interpolated(
    pixels: NDArray[Any], size: tuple[int, int], interpolation: str, antialias: bool
) -> NDArray[np.float32]:
    import torch
    from torch.nn import functional

    values = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None]
    options = {} if interpolation.startswith("nearest") else {"align_corners": False, "antialias": antialias}
    try:
        with torch.no_grad():
            found = functional.interpolate(values, size=size, mode=interpolation, **options)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"this torch can't resize floats by {interpolation!r}; say another interpolation") from error
    return np.asarray(found[0].numpy().transpose(1, 2, 0))


_RESIZERS: dict[str, Resize] = {
    "pillow": _pillow,
    "opencv": _opencv,
    "torch": _torch,
    "torchvision": _torchvision,
    "keras": _keras,
}
