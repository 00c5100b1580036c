"""Classes out of the folders that images lie in, whatever stands above or below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from uncertainty.images.image_set import ImageSet
from uncertainty.images.packed_text import Coded
from uncertainty.labels.meaning import meanings

_EXAMPLES = 3


def class_folders(names: Sequence[str], classes: Sequence[str]) -> Sequence[str | None]:
    """Return for each name the one folder of its path that is called like a class; None where none is, or two are.

    Numbers are no positions here: folders may be called after cameras or days.

    >>> list(class_folders(["train/cat/1.png", "cat/dog/2.png", "0/3.png"], ["cat", "dog"]))
    ['cat', None, None]
    """
    parts = dict.fromkeys(part for name in names for part in name.split("/")[:-1])
    exact = frozenset(classes)
    known = meanings([part for part in parts if part in exact or not part.isdecimal()], classes)
    return Coded.of(_one([part for part in name.split("/")[:-1] if known.of(part) >= 0]) for name in names)


def _one(parts: list[str]) -> str | None:
    return parts[0] if len(set(parts)) == 1 else None


def in_class_folders(images: ImageSet, classes: Sequence[str]) -> tuple[ImageSet, list[str]]:
    """Return images labelled by deeper folders where not one first folder is a class and deeper ones are; and a note.

    Such as `2024/cat/1.png`. Images that are labelled by something else, or by first folders, stay as they are.
    """
    if images.folder_labels is None or images.labels is not images.folder_labels:
        return images, []
    first = dict.fromkeys(str(label) for label in images.labels or () if label is not None)
    if any(label is not None for label in class_folders([f"{name}/" for name in first], classes)):
        return images, []
    deeper = class_folders(images.names, classes)
    if all(label is None for label in deeper):
        return images, []
    shown = ", ".join(list(first)[:_EXAMPLES])
    return replace(images, labels=deeper), [f"the first folders ({shown}) are no classes: deeper ones were taken"]
