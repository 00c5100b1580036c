"""Images with their labels, whatever the labels were written with: what `fit` takes as calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uncertainty.errors import InputError
from uncertainty.images.folders import SPLITS, Pictures
from uncertainty.images.manifests import Columns
from uncertainty.images.packed_text import Coded, Texts
from uncertainty.images.remote import located
from uncertainty.images.sources import AnyPath, ImageSet, find_images, named_images
from uncertainty.labels.imports import folders, tables
from uncertainty.labels.imports.base import Annotation
from uncertainty.labels.imports.formats import format_of, read_annotations
from uncertainty.labels.screened_names import ScreenedNames

_USUAL = Columns()


def labelled_images(path: AnyPath, columns: Columns = _USUAL) -> ImageSet:
    """Find images and their labels: folders, manifests and packed files as `find_images` does, and all that
    `read_annotations` reads, with the images in the folder of the labels or below it.

    Where the source says which part of a data set each image belongs to (a column `split`, folders or files called
    train, val and test), one part is taken, `columns.split`. Raises InputError where there are several and none is
    asked for: to calibrate on training images makes p_wrong far too low.
    """
    if isinstance(located(path), Path) and Path(path).exists():
        kind = format_of(Path(path), columns)
        if kind not in (folders, tables):
            return _annotated(Path(path), columns)
    found = find_images(path, columns)
    return _of_split(found, columns.split, Path(str(path)))


def _annotated(path: Path, columns: Columns) -> ImageSet:
    """Return the images that labels of another format name, each once; those with different answers are left out."""
    found = read_annotations(path, columns)
    root = path if path.is_dir() else path.parent
    files = _Files(root)
    labels: dict[str, set[str]] = {}
    for row in found.rows:
        labels.setdefault(files.of(row), set()).add(row.label)
    twice = [name for name, given in labels.items() if len(given) > 1]
    names = [name for name, given in labels.items() if len(given) == 1]
    items = replace(
        named_images(root, names), labels=Coded.of(next(iter(labels[name])) for name in names), notes=found.notes
    )
    if twice:
        told = f"{len(twice)} images have different answers and were left out, e.g. {twice[0]!r}"
        items = replace(items, notes=(*items.notes, told))
    return items


class _Files:
    """The pictures below a folder, and which of them an answer is about: by its whole name, or by what is unique."""

    def __init__(self, root: Path) -> None:
        self._screened = ScreenedNames(Texts.of(Pictures.below(root)))
        self._root = root

    def of(self, row: Annotation) -> str:
        """Return the name of the file; of none that is there the first name, whose image can't be read then."""
        found = self._screened.of(row) or self._screened.of(replace(row, uploaded=row.names[-1].rpartition("/")[2]))
        return found or row.names[0]


def _of_split(images: ImageSet, wanted: str | None, path: Path) -> ImageSet:
    if images.splits is None:
        if wanted is not None:
            raise InputError(f"{path} does not say which images are of the part {wanted!r}; give that part alone")
        return images
    there = list(dict.fromkeys(one for one in images.splits if one is not None))
    if wanted is None and len(there) < 2:
        return images
    if wanted is None:
        raise InputError(
            f"{path} holds the parts {_listed(there)} of a data set; say which with --split, best one that the model "
            "was not trained on"
        )
    rows = np.array([_meant(one) == _meant(wanted) for one in images.splits], dtype=bool)
    if not rows.any():
        raise InputError(f"{path} has no part {wanted!r}; it has {_listed(there)}")
    return images.select(rows)


def _meant(split: str | None) -> str | None:
    return None if split is None else SPLITS.get(split.strip().lower(), split.strip())


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(sorted(parts))
