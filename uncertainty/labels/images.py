"""Images with their labels, whatever the labels were written with: what `fit` takes as calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uncertainty.errors import InputError
from uncertainty.images.decoding import is_image_name
from uncertainty.images.folders import SPLITS, Pictures, first_folders
from uncertainty.images.manifests import MANIFEST_SUFFIXES, USUAL, Columns, quoted
from uncertainty.images.packed_text import Coded, Texts
from uncertainty.images.remote import located
from uncertainty.images.sources import AnyPath, ImageSet, find_images, named_images
from uncertainty.labels.imports import folders, tables
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.formats import format_of, read_annotations, table_of_answers
from uncertainty.labels.imports.several_rows import in_several_folders
from uncertainty.labels.imports.source import Source
from uncertainty.labels.screened_names import ScreenedNames, of_another_folder


def labelled_images(path: AnyPath, columns: Columns = USUAL) -> ImageSet:
    """Find images and their labels: folders, manifests and packed files as `find_images` does, and all that
    `read_annotations` reads, with the images in the folder of the labels or below it.

    Where the source says which part of a data set each image belongs to (a column `split`, folders or files called
    train, val and test), one part is taken, `columns.split`. Raises InputError where there are several and none is
    asked for: to calibrate on training images makes p_wrong far too low.
    """
    found = _found(path, columns)
    if found.labels is None and found.folder_labels is None and Path(path).suffix.lower() in MANIFEST_SUFFIXES:
        others = f"beside names it has {quoted(list(found.metadata))}"
        raise InputError(tables.no_labels(Source(Path(path), columns), others))
    there = list(dict.fromkeys(one for one in found.splits or () if one is not None))
    if columns.split is None and len(there) > 1:
        raise InputError(
            f"{path} holds the parts {_listed(there)} of a data set; say which with --split, best one that the model "
            "was not trained on"
        )
    return _with_all_folders(_below_part(_of_split(found, columns.split, path)), columns)


def images_of_part(path: AnyPath, columns: Columns = USUAL) -> ImageSet:
    """Find images as `labelled_images` does, of all parts of a data set where none is asked for."""
    images = _of_split(_found(path, columns), columns.split, path)
    return _with_all_folders(_below_part(images), columns) if columns.several else images


def _with_all_folders(images: ImageSet, columns: Columns) -> ImageSet:
    return in_several_folders(images) if columns.several else images


def _found(path: AnyPath, columns: Columns) -> ImageSet:
    if isinstance(located(path), Path) and Path(path).exists() and not is_image_name(path):
        table = table_of_answers(Path(path), columns)
        kind = format_of(table, columns)
        if kind not in (folders, tables) or (kind is tables and columns.several):
            return _annotated(table, columns)
    return find_images(path, columns)


def _annotated(path: Path, columns: Columns) -> ImageSet:
    """Return the images that labels of another format name, each once; those with different answers are left out."""
    found = read_annotations(path, columns)
    root = path if path.is_dir() else path.parent
    labels: dict[str, set[str]] = {}
    parts: dict[str, str | None] = {}
    for row, name in _files_of(found.rows, root):
        labels.setdefault(name, set()).add(row.label)
        parts[name] = found.more.get(row.names[0], {}).get("split")
    twice = [name for name, given in labels.items() if len(given) > 1]
    names = [name for name, given in labels.items() if len(given) == 1]
    told = f"{len(twice)} images have different answers and were left out, e.g. {twice[0]!r}" if twice else ""
    return replace(
        named_images(root, names),
        metadata=_metadata(found, names),
        labels=Coded.of(next(iter(labels[name])) for name in names),
        splits=Coded.of(parts[name] for name in names) if any(parts.values()) else None,
        notes=(*found.notes, *filter(None, [told])),
        asked=found.asked,
    )


def _metadata(found: Annotations, names: Sequence[str]) -> dict[str, Texts[str | None]]:
    """Return the other columns of a plain table, of an image that several rows name those of the first."""
    if found.table is None:
        return {}
    first: dict[str, int] = {}
    for row, name in enumerate(found.table.names):
        first.setdefault(name, row)
    columns = found.table.metadata.items()
    return {column: Texts.of(cells[first[n]] if n in first else None for n in names) for column, cells in columns}


def _files_of(rows: Sequence[Annotation], root: Path) -> list[tuple[Annotation, str]]:
    """Return each answer with the file below `root` that it is about: of its name, or the only one that ends so.

    Of none that is there it has the first of its names, whose image can't be read then.
    """
    files = Texts.of(Pictures.below(root))
    by_base: dict[str, list[str]] = {}
    for file in files:
        by_base.setdefault(file.rpartition("/")[2], []).append(file)
    whole, bases = ScreenedNames(files), ScreenedNames(by_base)
    met: list[tuple[Annotation, str]] = []
    absent: list[tuple[Annotation, str]] = []
    for row in rows:
        name = whole.of(row)
        if name is None and (base := bases.of(replace(row, names=row.names[:1]))) is not None:
            name = by_base[base][0] if len(by_base[base]) == 1 else None
        (absent if name is None else met).append((row, name or row.names[0]))
    strangers = of_another_folder(met)
    return [pair for k, pair in enumerate(met) if k not in strangers] + absent


def _of_split(images: ImageSet, wanted: str | None, path: AnyPath) -> ImageSet:
    if wanted is None:
        return images
    if images.splits is None:
        raise InputError(f"{path} does not say which images are of the part {wanted!r}; give that part alone")
    rows = np.array([_meant(one) == _meant(wanted) for one in images.splits], dtype=bool)
    if not rows.any():
        there = {one for one in images.splits if one is not None}
        raise InputError(f"{path} has no part {wanted!r}; it has {_listed(there)}")
    return images.select(rows)


def _below_part(images: ImageSet) -> ImageSet:
    """Where the first folder is the part of a data set, the next one may be the class."""
    if images.labels is not None or images.folder_labels is None or images.splits is None:
        return images
    if any(part != folder for part, folder in zip(images.splits, images.folder_labels, strict=True)):
        return images
    inner = first_folders([name.partition("/")[2] for name in images.names])
    return images if inner is None else replace(images, folder_labels=inner)


def _meant(split: str | None) -> str | None:
    return None if split is None else SPLITS.get(split.strip().lower(), split.strip())


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(sorted(parts))
