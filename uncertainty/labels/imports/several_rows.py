"""Images that labels name again for each label they have: rows of a long table, and files in several class folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uncertainty.figures import number_of
from uncertainty.images.decoding import digest
from uncertainty.images.image_set import ImageSet
from uncertainty.images.label_text import is_no_label, joined
from uncertainty.images.packed_text import Coded
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.tables import parts


def one_each(found: Annotations) -> Annotations:
    """Return one answer for each image and annotator, with all labels that its rows name.

    Rows of which one says that there is no label and another names one stay apart: they contradict each other.

    >>> rows = [Annotation(("a",), "cat"), Annotation(("a",), "dog"), Annotation(("b",), "cat")]
    >>> [row.label for row in one_each(Annotations(tuple(rows))).rows]
    ['cat;dog', 'cat']
    """
    groups: dict[tuple[str, str], list[Annotation]] = {}
    for row in found.rows:
        groups.setdefault((row.names[0], row.annotator), []).append(row)
    return replace(found, rows=tuple(row for rows in groups.values() for row in _joined(rows)))


def _joined(rows: Sequence[Annotation]) -> Sequence[Annotation]:
    if len({is_no_label(row.label) for row in rows}) > 1:
        return rows
    return [replace(rows[0], label=_union([row.label for row in rows]))]


def _union(labels: Sequence[str]) -> str:
    both = [parts(label) for label in labels]
    return joined((name for carried, _ in both for name in carried), (name for _, some in both for name in some))


class _Copies(NamedTuple):
    """Positions of files that are one image, and how many files of one name differ in their bytes."""

    groups: list[list[int]]
    unlike: int


def in_several_folders(images: ImageSet) -> ImageSet:
    """Return images of class folders, each once, with the folders of all its files as its labels.

    Files are one image where they have the same bytes, or the same name below different class folders. Images that are
    labelled by something else stay as they are.
    """
    if images.labels is not None or images.folder_labels is None:
        return images
    folders = list(images.folder_labels)
    copies = _copies(images, folders)
    firsts = sorted(copies.groups, key=lambda rows: rows[0])
    labels = [joined(str(folders[row]) for row in rows) if folders[rows[0]] else None for rows in firsts]
    one = images.select([rows[0] for rows in firsts])
    return replace(one, labels=Coded.of(labels), notes=(*one.notes, *_notes(copies)))


def rows_of_folders(images: ImageSet) -> Annotations:
    """Return an answer for each file of class folders, with the folders of all files of the same image."""
    folders = list(images.folder_labels or ())
    copies = _copies(images, folders)
    rows: dict[int, Annotation] = {}
    for group in copies.groups:
        if folders[group[0]]:
            label = joined(str(folders[row]) for row in group)
            rows |= {row: Annotation((str(images.names[row]), *_inner(images, folders, row)), label) for row in group}
    return Annotations(tuple(rows[row] for row in sorted(rows)), (*images.notes, *_notes(copies)))


def _notes(copies: _Copies) -> list[str]:
    several = sum(len(rows) > 1 for rows in copies.groups)
    notes = [f"{number_of(several, 'image lies', 'images lie')} in several class folders and have all those labels"]
    if copies.unlike:
        notes.append(
            f"{copies.unlike} of them have one name and different content: the first file is taken; call pictures that "
            "are not the same otherwise"
        )
    return notes if several else []


def _copies(images: ImageSet, folders: Sequence[str | None]) -> _Copies:
    """Find the files that are one image: by their names below the class folder, then by their bytes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: dict[str, int] = {}
    contents, alike = _contents(images), [(row, row) for row in range(len(images))]
    for row in (row for row in range(len(images)) if folders[row]):
        inner = _inner(images, folders, row)[-1]
        keys = [key for key in (f"name {inner}", f"bytes {contents[row]}") if key[6:]]
        alike += [(row, first.setdefault(key, row)) for key in keys]
    pairs = np.array(alike).reshape(-1, 2).T
    _, group = connected_components(
        coo_array((np.ones(pairs.shape[1]), pairs), shape=(len(images),) * 2), directed=False
    )
    found: dict[int, list[int]] = {}
    for row, one in enumerate(group.tolist()):
        found.setdefault(one, []).append(row)
    unlike = sum(len({contents[row] for row in rows}) > 1 for rows in found.values())
    return _Copies(list(found.values()), unlike)


def _inner(images: ImageSet, folders: Sequence[str | None], row: int) -> tuple[str, ...]:
    """Return the name below the class folder, and without the class before it, which CVAT writes."""
    name, folder = str(images.names[row]), str(folders[row])
    inner = f"/{name}".partition(f"/{folder}/")[2]
    return tuple(dict.fromkeys((inner, inner.removeprefix(f"{folder}_"))))


def _contents(images: ImageSet) -> list[str]:
    """Return digests of the files that are on this machine, "" for the others."""
    paths = images.fetch(np.arange(len(images)) if images.rows is None else images.rows)
    return [digest(path) if isinstance(path, Path) and path.is_file() else "" for path in paths]
