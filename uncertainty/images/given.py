"""Whatever a caller gives as images, as items to be read: paths, pictures, arrays, tensors, data sets and loaders."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.images.data_sets import HeldImages, StreamedImages, file_names, size_of
from uncertainty.images.decoding import digest_pixels
from uncertainty.images.image_set import ImageSet
from uncertainty.images.in_memory import PLAIN, ArrayItem, Form, is_tensor, label_of, may_be_bands
from uncertainty.images.manifests import Label
from uncertainty.images.packed_text import Coded
from uncertainty.images.sources import AnyPath, find_images

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem  # what a Dataset is

Images: TypeAlias = "AnyPath | Image.Image | NDArray[np.uint8] | ImageSet | SupportsLenAndGetItem[Any] | Iterable[Any]"
"""What `image_items` takes."""
Items = ImageSet | Sequence[ArrayItem] | StreamedImages
_ACCEPTED = (
    "give a path, a picture of Pillow, an array (h, w, 3) or (n, h, w, 3), a list of these, or a Dataset or DataLoader"
)


def image_items(images: Images, labels: Any = None) -> Items:
    """Turn whatever is given as images into items.

    One path is read as `find_images` reads it. Arrays are named by a digest of their pixels, so that equal sets are
    seen; images of a data set by its files where it lists them (`samples`), else, as pictures and tensors in a list, by
    their position. A torch Dataset, or one of
    Hugging Face, is read by position, a DataLoader or IterableDataset in its order; see `in_memory.parts_of` and
    `data_sets.StreamedImages` for what they may hold. `labels` are one for each image, of anything that has a length.

    Raises InputError where `find_images` does, for arrays mixed with paths, and for anything else.
    """
    items = _items(images)
    return items if labels is None else _labelled(items, labels)


def _items(images: Any) -> Items:
    if isinstance(images, ImageSet | HeldImages | StreamedImages):
        return images
    if isinstance(images, str | os.PathLike):
        return find_images(images)
    if isinstance(images, Image.Image):
        return HeldImages([images], 1)
    if isinstance(images, np.ndarray) or is_tensor(images):
        return _of_array(images)
    if isinstance(images, list | tuple):
        return _of_list(list(images))
    return _of_data_set(images)


def _of_array(images: Any) -> Items:
    if isinstance(images, np.ndarray) and images.dtype.kind in "OSUT":
        return _of_list(images.ravel().tolist())
    if images.ndim not in (3, 4):
        raise InputError(f"the images are {_shaped(images)}; {_ACCEPTED}")
    several = images if images.ndim == 4 else images[None]
    if is_tensor(several):
        return HeldImages(several, len(several)).checked()
    if (several.dtype != np.uint8 or several.shape[3] != 3) and not (len(several) and may_be_bands(several[0])):
        raise InputError(f"the images are {_shaped(images)} of {images.dtype}; give uint8 (h, w, 3) or (n, h, w, 3)")
    return _of_list(list(several))


def _of_list(given: list[Any]) -> Items:
    kinds = {next((kind for kind in _KINDS if isinstance(one, kind)), object) for one in given}
    if kinds == {ArrayItem}:
        return given
    if kinds == {np.ndarray}:
        return list(_named(given))
    paths = {str, os.PathLike}
    if kinds <= paths:
        return find_images([os.fspath(path) for path in given])
    if kinds & paths:
        raise InputError("the list of images mixes arrays and paths; give one kind at a time")
    if object in kinds and not all(is_tensor(one) for one in given if not isinstance(one, _KINDS)):
        odd = next(one for one in given if not isinstance(one, _KINDS) and not is_tensor(one))
        raise InputError(f"the list of images holds {type(odd).__name__}; {_ACCEPTED}")
    return HeldImages(given, len(given)).checked()


_KINDS = (ArrayItem, np.ndarray, str, os.PathLike, Image.Image, tuple, dict)


def _named(arrays: Sequence[NDArray[np.uint8]]) -> Iterator[ArrayItem]:
    seen: dict[str, int] = {}
    for pixels in arrays:
        name = digest_pixels(pixels)
        seen[name] = seen.get(name, 0) + 1
        yield ArrayItem(name if seen[name] == 1 else f"{name}-{seen[name]}", pixels)


def _of_data_set(images: Any) -> Items:
    kinds = {kind.__name__ for kind in type(images).__mro__}  # torch and datasets need not be imported to be known
    form = _form(images)
    if "DataLoader" in kinds or (hasattr(images, "dataset") and hasattr(images, "batch_size")):
        return StreamedImages(images, batched=getattr(images, "batch_size", 1) is not None or _batches(images))
    if "IterableDataset" in kinds:
        return StreamedImages(images, form=form)
    if isinstance(images, Mapping | set | frozenset | bytes | bytearray | io.IOBase):  # of a file come lines
        raise InputError(f"the images are {type(images).__name__}; {_ACCEPTED}")
    if hasattr(images, "tolist"):  # a column of pandas
        return _of_list(images.tolist())
    if hasattr(images, "__getitem__") and hasattr(images, "__len__") and "DataFrame" not in kinds:
        return HeldImages(images, size_of(images), form, called=file_names(images)).checked()
    if hasattr(images, "__iter__") and "DataFrame" not in kinds:
        return _of_iterable(images)
    lacking = " without __len__" if hasattr(images, "__getitem__") and not hasattr(images, "__len__") else ""
    raise InputError(f"the images are {type(images).__name__}{lacking}; {_ACCEPTED}")


def _batches(loader: Any) -> bool:
    return getattr(loader, "batch_sampler", None) is not None


def _of_iterable(images: Any) -> Items:
    """Gather paths, which are small; all else comes one after another."""
    if not hasattr(images, "__next__"):
        return StreamedImages(images)
    every = StreamedImages(images).given()  # which says what fails, by the name of its kind
    for first in every:
        rest = chain([first], every)
        return _of_list(list(rest)) if isinstance(first, str | os.PathLike) else StreamedImages(rest)
    raise InputError(f"the images are {type(images).__name__} that yields nothing; {_ACCEPTED}")


def _form(images: Any) -> Form:
    """Find the columns of image and label of a data set of Hugging Face, by the kinds that it declares."""
    features = getattr(images, "features", None)
    if not isinstance(features, Mapping) or not hasattr(images, "column_names"):
        return PLAIN
    kinds = {name: type(kind).__name__ for name, kind in features.items()}
    image = next((name for name, kind in kinds.items() if kind == "Image"), None)
    label = next((name for name, kind in kinds.items() if kind == "ClassLabel"), None)
    if label is not None:
        return Form(image, label, tuple(map(str, features[label].names)))
    inner = {name: getattr(kind, "feature", None) for name, kind in features.items()}
    label = next((name for name, kind in inner.items() if type(kind).__name__ == "ClassLabel"), None)
    return Form(image) if label is None else Form(image, label, tuple(map(str, features[label].feature.names)), True)


def _labelled(items: Items, labels: Any) -> Items:
    """Give each image its label, whatever the source says of it."""
    if isinstance(items, StreamedImages):
        raise InputError("labels belong to images that can be counted; have the loader yield (inputs, labels)")
    if isinstance(labels, str | os.PathLike | Mapping) or not hasattr(labels, "__len__"):
        raise InputError(f"labels are {type(labels).__name__}; give a list or array with one label for each image")
    if len(labels) != len(items):
        raise InputError(f"{len(labels)} labels and {len(items)} images; give one label for each image")
    known: list[Label] = [label_of(one) for one in labels]
    if isinstance(items, ImageSet):
        return replace(items, labels=Coded.of(known))
    if isinstance(items, HeldImages):
        return replace(items, labels=known)
    return [item._replace(label=label) for item, label in zip(items, known, strict=True)]


def _shaped(array: Any) -> str:
    return f"{type(array).__name__} of shape {tuple(array.shape)}"
