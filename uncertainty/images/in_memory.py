"""Images that Python holds already: as pixels, as pictures of Pillow, as tensors, or as what a data set returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.errors import ImageError, InputError
from uncertainty.images.formats import pillow
from uncertainty.images.formats.base import WHOLE, DecodedImage, Reading, Task, grey
from uncertainty.images.formats.npy import of_array
from uncertainty.images.label_text import NO_LABEL, joined, of_row
from uncertainty.images.manifests import Label
from uncertainty.images.remote import AnyFile, RemotePath, located

_IMAGE_KEYS = ("image", "img", "pixel_values")
_LABEL_KEYS = ("label", "labels")
_BYTE = 255


class ArrayItem(NamedTuple):
    """An image with its name: pixels (h, w, 3) uint8, or whatever else `held` understands."""

    name: str
    data: Any
    label: str | int | None = None


class Form(NamedTuple):
    """Under which keys rows that are dictionaries have image and label, and names for labels that are numbers.

    With `several` a label is a list of such numbers.
    """

    image: str | None = None
    label: str | None = None
    class_names: tuple[str, ...] | None = None
    several: bool = False


PLAIN = Form()


def is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor, for which torch need not be imported."""
    return hasattr(value, "detach") and hasattr(value, "cpu") and hasattr(value, "ndim")


def is_picture(value: Any) -> bool:
    """Whether it is one image in any form but a path or bytes."""
    return isinstance(value, Image.Image) or (
        (is_tensor(value) or isinstance(value, np.ndarray)) and value.ndim in (2, 3)
    )


def held(value: Any, reading: Reading = WHOLE) -> NDArray[Any] | AnyFile | bytes:
    """Return an image as pixels, or as the path or bytes that are still to be decoded.

    A picture of Pillow becomes what its file would be read as. A torch tensor is (3, h, w), (1, h, w) or (h, w), either
    uint8 or floats from 0 to 1, or for a multi-band reading (bands, h, w) of any values. Arrays are returned as they
    are. Raises ImageError for everything else, and
    for tensors with other values: those of one that was normalised can't be told.

    >>> held(Image.new("L", (2, 1), 7)).tolist()
    [[[7, 7, 7], [7, 7, 7]]]
    """
    if isinstance(value, ImageError):
        raise value
    if isinstance(value, np.ndarray | bytes | Path | RemotePath):
        return value
    if isinstance(value, str | os.PathLike):
        return located(value)
    if isinstance(value, Image.Image):
        return _of_pillow(value, reading)
    if is_tensor(value):
        return _of_tensor(value) if reading.multiband is None else _of_many_bands(value)
    if isinstance(value, Mapping) and (value.get("bytes") or value.get("path")):  # of Hugging Face, not decoded
        return value.get("bytes") or located(value["path"])
    raise ImageError(f"is {type(value).__name__}; give a path, a picture of Pillow, a tensor or an array (h, w, 3)")


def _of_pillow(image: Image.Image, reading: Reading) -> NDArray[Any] | Path:
    # What was opened and not loaded is read from its file, so that a long list of pictures stays as small as it was.
    if (file := getattr(image, "filename", "")) and getattr(image, "tile", ()) and image.tell() == 0:
        return Path(file)
    mine = image.copy() if "transparency" in image.info else image  # of which `rgb` takes it
    upright = mine if reading.exif is False else pillow.upright_of(mine)[0]
    if reading.multiband is not None:
        return pillow.as_stored(upright)
    return pillow.rgb(upright, Task(reading))[0]


def from_array(values: NDArray[Any], reading: Reading = WHOLE, *, last: bool = False) -> DecodedImage:
    """Return an array as an image: (h, w, 3) uint8, or bands as `reading` says, which come `last` or may be anywhere.

    Raises ImageError for any other.
    """
    if reading.multiband is not None or reading.bands is not None:
        return of_array(values, reading, last=last)
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != 3 or 0 in values.shape:
        raise ImageError(f"is an array of {values.dtype} {values.shape}; it must be uint8 of shape (h, w, 3)")
    return DecodedImage(values, width=values.shape[1], height=values.shape[0])


def _of_many_bands(tensor: Any) -> NDArray[Any]:
    """Return a tensor (bands, h, w) or (h, w) as (h, w, bands)."""
    if tensor.ndim not in (2, 3) or 0 in tensor.shape:
        raise ImageError(f"is a tensor of shape {tuple(tensor.shape)}; it must be (bands, h, w)")
    values = _at_hand(tensor)
    found = np.asarray(values.float() if values.dtype.itemsize < 4 and values.is_floating_point() else values)
    return found[:, :, None] if found.ndim == 2 else np.ascontiguousarray(found.transpose(1, 2, 0))


def _of_tensor(tensor: Any) -> NDArray[np.uint8]:
    shape = tuple(tensor.shape)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))) or 0 in shape:
        raise ImageError(f"is a tensor of shape {shape}; it must be (3, h, w), (1, h, w) or (h, w)")
    values = _at_hand(tensor)
    if values.is_floating_point():
        values = _as_bytes(values.float().numpy())
    elif (kind := str(values.dtype)) != "torch.uint8":
        raise ImageError(f"is a tensor of {kind.removeprefix('torch.')}; give uint8, or floats from 0 to 1")
    pixels = np.asarray(values)
    pixels = pixels if pixels.ndim == 2 or len(pixels) == 3 else pixels[0]
    return grey(pixels) if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _at_hand(tensor: Any) -> Any:
    """Return a tensor in memory as NumPy has arrays; ImageError for one that has no values, or gaps."""
    if str(tensor.layout) != "torch.strided" or tensor.is_meta:
        what = "no values" if tensor.is_meta else f"layout {str(tensor.layout).removeprefix('torch.')}"
        raise ImageError(f"is a tensor with {what}; give a dense one")
    return tensor.detach().cpu()


def _as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"is a tensor of floats from {low:.3g} to {high:.3g}, perhaps a normalised one; give it before it is "
            "normalised, as uint8 or floats from 0 to 1: the classifier's own Preprocess normalises"
        )
    return np.round(values * _BYTE).astype(np.uint8)


def may_be_bands(value: Any) -> bool:
    """Whether it may be an image of other bands than one or three, which a network tells that takes such.

    >>> may_be_bands(np.zeros((8, 9, 13), np.uint16)), may_be_bands(np.zeros((8, 9, 3), np.float32))
    (True, False)
    """
    if getattr(value, "ndim", 0) != 3 or not (is_tensor(value) or isinstance(value, np.ndarray)):
        return False
    return not {value.shape[0], value.shape[2]} & {0, 1, 3} and (is_tensor(value) or value.dtype.kind in "uif")


def refuse_kind(value: Any, what: str) -> None:
    """Raise InputError where an image is of a kind or range that can't be read; a damaged file is no such kind."""
    if isinstance(value, str | os.PathLike | bytes | Image.Image | Mapping | ImageError) or may_be_bands(value):
        return
    try:
        found = held(value)
    except ImageError as error:
        raise InputError(f"the first image of {what} {error}") from error
    if isinstance(found, np.ndarray) and (found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3):
        raise InputError(
            f"the first image of {what} is an array of {found.dtype} {found.shape}; it must be uint8 of shape (h, w, 3)"
        )


def parts_of(row: Any, form: Form = PLAIN) -> tuple[Any, Label, str | None]:
    """Return image, label and name of what a data set gives for one image; label and name may be None.

    That is the image alone, (image, label), (image, label, name), or a dictionary with "image" and "label".

    >>> parts_of(("a.png", 3)), parts_of({"image": "a.png", "label": 1}, Form(class_names=("cat", "dog")))
    (('a.png', 3, None), ('a.png', 'dog', None))
    """
    label: Any = None
    name: Any = None
    if isinstance(row, Mapping) and not {"bytes", "path"} & row.keys():
        row, label = _by_key(row, (form.image, *_IMAGE_KEYS)), _by_key(row, (form.label, *_LABEL_KEYS))
    elif isinstance(row, tuple | list):
        row, label, name = (*row, None, None, None)[:3]
    if form.several and form.class_names is not None and isinstance(label, list | tuple | np.ndarray):
        label = [form.class_names[int(k)] if 0 <= int(k) < len(form.class_names) else str(k) for k in label] or NO_LABEL
    known = label_of(label)
    if form.class_names is not None and isinstance(known, int):
        known = form.class_names[known] if 0 <= known < len(form.class_names) else None
    return row, known, name if isinstance(name, str) else None


def _by_key(row: Mapping[str, Any], keys: tuple[str | None, ...]) -> Any:
    return next((row[key] for key in keys if key is not None and key in row), None)


def label_of(value: Any) -> Label:
    """Return a label as text or number; several of one image, a list of names or an answer a class, see `label_text`.

    An answer is 1, 0, or -1, NaN or None for none; classes are called by their positions then. Raises InputError for
    anything else.

    >>> label_of(np.int64(3)), label_of("cat"), label_of(np.array([0, 1, 1])), label_of(float("nan")), label_of(b"cat")
    (3, 'cat', 'column 2 of 3;column 3 of 3', None, 'cat')
    >>> label_of(["cat", "dog"]), label_of([]), label_of([1, 0, -1]), label_of([0, 0])
    ('cat;dog', '(no label)', 'column 1 of 3;?column 3 of 3', '(no label)')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and (several := _several(list(value))) is not None:
        return several
    array = np.asarray(_label_at_hand(value))
    if array.size == 1 and array.dtype.kind in "OSU":
        return _text(array.item())
    if array.size == 1 and array.dtype.kind in "biuf":
        number = float(array.item())
        if np.isnan(number) or number.is_integer():
            return None if np.isnan(number) else int(number)
    elif array.ndim == 1 and array.dtype.kind in "biuf" and (np.isin(array, (0, 1, -1)) | np.isnan(array)).all():
        return of_row(array.tolist())
    raise InputError(f"a label is {str(value)[:60]!r} ({type(value).__name__}); give class names or whole numbers")


def _several(values: list[Any]) -> str | None:
    """Return a list of names, of positions, or of answers of which some are None, as one text; else None."""
    if len(values) != 1 and all(isinstance(one, str) for one in values):
        return joined(one.strip() for one in values if one.strip())
    if None in values and all(one is None or one in (0, 1, -1) for one in values):
        return of_row(values)
    whole = len(values) > 1 and all(isinstance(one, int) and one >= 0 for one in values)
    return joined(map(str, values)) if whole and max(values) > 1 else None


def _label_at_hand(value: Any) -> Any:
    try:
        return _at_hand(value) if is_tensor(value) else value
    except ImageError as error:
        raise InputError(f"a label {error}") from error


def _text(value: Any) -> str | None:
    """Return a label that is an object: text, bytes of UTF-8, a missing value of pandas; whole numbers of any size."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | int):
        return str(value)
    raise InputError(f"a label is {str(value)[:60]!r} ({type(value).__name__}); give class names or whole numbers")
