"""Where images come from: folders, lists of files, manifests, and files with many images inside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uncertainty.errors import InputError
from uncertainty.images.decoding import IMAGE_SUFFIXES, is_image_name
from uncertainty.images.folders import Pictures, contents, entries, first_folders, splits_of
from uncertainty.images.formats import npy
from uncertainty.images.image_set import FilesAt, ImageItem, ImageSet, metadata_of
from uncertainty.images.manifests import (
    MANIFEST_SUFFIXES,
    USUAL,
    Columns,
    check_unique,
    name_column,
    posix,
    read_manifest,
)
from uncertainty.images.packed import PACKED_SUFFIXES, is_packed, packed_files, read_packed
from uncertainty.images.packed_text import Coded, Texts
from uncertainty.images.remote import AnyFile, RemotePath, is_url, located

__all__ = ["AnyPath", "ImageItem", "ImageSet", "find_images", "metadata_of", "named_images"]

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

AnyPath = str | os.PathLike[str]

_WELL_KNOWN = (".jpg", ".png", ".webp", ".tif", ".dcm")
_ENDINGS = f"{' '.join(_WELL_KNOWN)} and {len(IMAGE_SUFFIXES) - len(_WELL_KNOWN)} more"

_TRIED = 20
_ONE_MORE = "; where each row is one of its several labels, say --several-labels"


def find_images(path: AnyPath | Sequence[AnyPath], columns: Columns = USUAL) -> ImageSet:
    """Find images without opening them.

    `path` is one of: an image file; a folder, flat or nested (sorted by name; hidden files skipped, links followed but
    never in circles; files that are no pictures counted in `notes`); a folder with `metadata.csv`, `.jsonl` or
    `.parquet` (Hugging Face imagefolder; images that it does not name come after those that it names, without a label);
    a manifest CSV, JSON lines or Parquet with `file_name` and optional `label`, relative to the manifest's folder; a
    file with many images inside, or a folder of them (see `packed`: Parquet, WebDataset .tar, MedMNIST .npz); a folder
    with neither of these, of arrays, one image a file (.npy, or .npz with one array); or a list
    of image files and folders, named relative to the folder that they share. `columns` are those of a manifest where
    they are called otherwise.

    Manifest, packed file and folder may also be at a URL (s3://, gs://, file://, and what fsspec knows), and a
    manifest may name images by URL.

    A file that a manifest names and that is absent is no error here: it becomes an image that can't be decoded.

    Raises InputError: nothing there, no image in it (saying what was found), or a name that occurs twice.
    """
    if not isinstance(path, str | os.PathLike):
        return _from_list([Path(one) for one in path])
    if not os.fspath(path):  # which Python takes for the folder that one is in
        raise InputError("the path of the images is empty; give an image, a folder of images, or a manifest")
    root = located(path)
    if isinstance(root, RemotePath):
        return _from_remote(root, columns)
    if root.is_dir():
        return _from_folder(root, columns)
    if not root.exists():
        raise InputError(f"{root} does not exist; give an image, a folder of images, or a manifest")
    if is_packed(root):
        return read_packed([root], root)
    if root.suffix.lower() in MANIFEST_SUFFIXES:
        return _from_manifest(root, columns)
    if root.suffix and not is_image_name(root) and not _is_array(root.name):
        tables = " ".join((*MANIFEST_SUFFIXES, *PACKED_SUFFIXES))
        raise InputError(f"{root} is neither an image ({_ENDINGS}) nor a manifest ({tables})")
    return _from_files(root.parent, [root.name])


def _from_list(paths: list[Path]) -> ImageSet:
    if not paths:
        raise InputError("the list of images is empty; give at least one path")
    for path in paths:
        if not path.is_dir() and path.suffix.lower() in MANIFEST_SUFFIXES:
            raise InputError(
                f"{path} is a manifest; in a list give images and folders only, or give the manifest alone"
            )
    folders = {path: Pictures.below(path) for path in paths if path.is_dir()}
    files = Texts.of(
        file for path in paths for file in ((str(path / f) for f in folders[path]) if path in folders else [str(path)])
    )
    if not files:
        raise InputError(f"no image in {', '.join(map(str, paths))}; looked for files ending in {_ENDINGS}")
    root = os.path.commonpath({os.path.abspath(os.path.dirname(file)) for file in files})
    found = _from_files(Path(root), Texts.of(os.path.relpath(file, root) for file in files))
    return replace(found, notes=tuple(note for pictures in folders.values() for note in pictures.notes()))


def _from_folder(root: Path, columns: Columns) -> ImageSet:
    metadata = next((root / name for name in METADATA_NAMES if (root / name).is_file()), None)
    if metadata is not None:
        return _from_manifest(metadata, columns, Pictures.below(root, METADATA_NAMES))
    pictures = Pictures.below(root)
    if files := Texts.of(pictures):
        return _in_folders(_from_files(root, files), pictures)
    if packed := packed_files(root):
        return read_packed(packed, root)
    if arrays := Texts.of(name for name in entries(root) if _is_array(name)):
        return _in_folders(_from_files(root, arrays), Pictures(()))
    raise InputError(f"{root} holds no image; looked for files ending in {_ENDINGS}, found {contents(root)}")


def _is_array(name: str) -> bool:
    return name.lower().endswith(npy.SUFFIXES)


def _in_folders(images: ImageSet, pictures: Pictures) -> ImageSet:
    folders = first_folders(images.names)
    return replace(
        images,
        folder_labels=folders,
        splits=splits_of(folders),
        notes=pictures.notes(),
    )


def _from_remote(root: RemotePath, columns: Columns) -> ImageSet:
    if root.suffix.lower() in MANIFEST_SUFFIXES and not is_packed(root):
        return _from_manifest(root, columns)
    if is_packed(root):
        return read_packed([root], root)
    if is_image_name(root.name) or _is_array(root.name):
        return _from_files(root.parent, [root.name])
    files = root.files()
    pictures = Pictures(files, METADATA_NAMES)
    if metadata := next((name for name in METADATA_NAMES if name in files), None):
        return _from_manifest(root / metadata, columns, pictures)
    if images := Texts.of(pictures):
        return _in_folders(_from_files(root, images), pictures)
    if packed := packed_files(root):
        return read_packed(packed, root)
    if arrays := Texts.of(name for name in files if _is_array(name)):
        return _in_folders(_from_files(root, arrays), Pictures(()))
    raise InputError(f"{root} holds no image; give a manifest, a Parquet file, or a folder of images")


def named_images(root: AnyFile, names: Sequence[str]) -> ImageSet:
    """Return images by their names below a folder, or by their URLs, as a list names them; none is looked for."""
    return _from_files(root, names)


def _from_files(root: AnyFile, files: Sequence[str]) -> ImageSet:
    # Names that are written as they stay are not made, and held, a second time.
    kept = isinstance(files, Texts) and all(_text(posix(file)) == file for file in files)
    names = files if kept else Texts.of(_text(posix(file)) for file in files)
    check_unique(names, root)
    return ImageSet(root, names, FilesAt(root, names if kept or names == files else files))


def _from_manifest(path: AnyFile, columns: Columns, beside: Pictures | None = None) -> ImageSet:
    manifest = read_manifest(path, columns)
    check_unique(manifest.names, path, "" if manifest.labels is None else _ONE_MORE)
    extra = _unnamed(manifest.names, beside) if beside else Texts.of(())
    images = _from_files(path.parent, Texts.of(chain(manifest.names, extra)) if extra else manifest.names)
    none = (None,) * len(extra)
    lost = _lost(manifest.names, path, name_column(columns, manifest.columns, path))
    notes = (*manifest.notes, *lost, *(beside.notes() if beside else ()))
    if len(extra):
        which = f"1 image, {extra[0]!r}, is" if len(extra) == 1 else f"{len(extra)} images, e.g. {extra[0]!r}, are"
        notes += (f"{which} not named in {path.name}",)
    metadata = {name: Texts.of(chain(values, none)) for name, values in manifest.metadata.items()}
    return replace(
        images,
        labels=_with_none(manifest.labels, none),
        folder_labels=first_folders(images.names) if beside and manifest.labels is None else None,
        splits=_with_none(manifest.splits, none),
        metadata=metadata if extra else manifest.metadata,
        notes=notes,
    )


def _lost(names: Sequence[str], path: AnyFile, column: str) -> tuple[str, ...]:
    """Say so where none of the first names of a manifest is a file, and what to write in its place if that is one."""
    first = names[:_TRIED]
    if not isinstance(path, Path) or any(is_url(name) or (path.parent / name).exists() for name in first):
        return ()
    base = posix(first[0]).rpartition("/")[2]
    there = f": write {base!r}" if (path.parent / base).exists() else ""
    return (
        f"{path.name}, row 1, has {first[0]!r} in the column {column!r}, and there is no such file: names are relative "
        f"to {path.parent}{there}",
    )


def _with_none(values: Sequence[Any] | None, none: tuple[None, ...]) -> Sequence[Any] | None:
    return values if values is None or not none else Coded.of(chain(values, none))


def _unnamed(names: Sequence[str], files: Iterable[str]) -> Texts[str]:
    """Return the files that are not among the names; a set of all names would take ten times the memory."""
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    order = np.argsort(hashes)
    ranked = hashes[order]

    def named(text: str) -> bool:
        low, high = (int(np.searchsorted(ranked, hash(text), side)) for side in _SIDES)
        return any(names[int(i)] == text for i in order[low:high])

    return Texts.of(file for file in files if not named(_text(file)))


def _text(name: str) -> str:
    # A Linux file name may be any bytes; those that are not UTF-8 are shown as \xe9, since no table could store them.
    return os.fsencode(name).decode("utf-8", "backslashreplace")
