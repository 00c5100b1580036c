"""Labels as folders: images sorted into one for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from uncertainty.images.packed import is_packed
from uncertainty.images.sources import find_images
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.several_rows import rows_of_folders
from uncertainty.labels.imports.source import Source


def recognises(source: Source) -> bool:
    """Whether it is a folder, or a file with images and labels inside."""
    return source.path.is_dir() or is_packed(source.path)


def read(source: Source) -> Annotations:
    """Read class folders, a folder whose metadata has labels, or what `find_images` reads labels from.

    An image in a class folder has two names: the whole one, `cat/monday/1.jpg`, and the one without the class folder,
    `monday/1.jpg`, which it had if it was screened first and sorted afterwards. CVAT puts the class before the name,
    `cat/cat_1.jpg`, and an export of ours writes %2F for a slash in it; both are undone. With `several` an image that
    lies in several class folders has all those labels.
    """
    images = find_images(source.path, source.columns).labelled()
    if source.columns.several and images.folder_labels is not None:
        return rows_of_folders(replace(images, labels=None))
    labels = zip(images.names, images.labels or (), strict=True)
    if images.folder_labels is None:
        known = (Annotation((name,), str(label)) for name, label in labels if label is not None)
        return Annotations(tuple(known), images.notes)
    found = sorted_into(tuple(name for name in images.names if "/" in name))
    return replace(found, notes=images.notes)


def sorted_into(names: Sequence[str]) -> Annotations:
    """Take the first folder of each name as its class.

    >>> sorted_into(("cat/1.jpg", "cat/cat_mon%2F2.jpg")).rows[1].names
    ('cat/cat_mon%2F2.jpg', 'cat_mon%2F2.jpg', 'mon%2F2.jpg', 'mon/2.jpg')
    """
    found = [name.partition("/")[::2] for name in names]
    rows = []
    for name, (label, inner) in zip(names, found, strict=True):
        bare = inner.removeprefix(f"{label}_")
        others = dict.fromkeys((bare, unquote(bare))) if bare != inner else {}
        rows.append(Annotation((name, inner, *others), label))
    return Annotations(tuple(rows))
