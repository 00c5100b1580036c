"""Labels as folders: images sorted into one for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from uncertainty.images.sources import find_images
from uncertainty.labels.imports.base import Annotation, Annotations


def read(path: Path) -> Annotations:
    """Read class folders, or a folder whose metadata has labels.

    An image in a class folder has two names where it can: the whole one, `cat/monday/1.jpg`, and the one without the
    class folder, `monday/1.jpg`, which it had if it was screened first and sorted afterwards; the second only where it
    belongs to one image alone. CVAT puts the class before the name, `cat/cat_1.jpg`, and an export of ours writes %2F
    for a slash in it; both are undone.
    """
    images = find_images(path).labelled()
    labels = zip(images.names, images.labels or (), strict=True)
    if images.folder_labels is None:
        return Annotations(tuple(Annotation((name,), str(label)) for name, label in labels if label is not None))
    return sorted_into(images.names)


def sorted_into(names: Sequence[str]) -> Annotations:
    """Take the first folder of each name as its class.

    >>> sorted_into(("cat/1.jpg", "cat/cat_mon%2F2.jpg")).rows[1].names
    ('cat/cat_mon%2F2.jpg', 'cat_mon%2F2.jpg', 'mon%2F2.jpg', 'mon/2.jpg')
    """
    found = [name.partition("/")[::2] for name in names]
    several = Counter(inner for _, inner in found)
    rows = []
    for name, (label, inner) in zip(names, found, strict=True):
        short = (inner,) if several[inner] == 1 else ()
        bare = inner.removeprefix(f"{label}_")
        others = dict.fromkeys((bare, unquote(bare))) if bare != inner else {}
        rows.append(Annotation((name, *short, *others), label))
    return Annotations(tuple(rows))
