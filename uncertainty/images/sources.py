"""Where images come from: folders, lists of files, manifests, and Parquet files with the bytes inside."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.decoding import IMAGE_SUFFIXES, is_image_name
from uncertainty.images.manifests import MANIFEST_SUFFIXES, Label, check_unique, posix, read_manifest
from uncertainty.images.packed_text import Coded, Texts, taken
from uncertainty.images.remote import AnyFile, RemotePath, below, located, size_of
from uncertainty.images.shards import ShardReader, find_shards, is_shard, read_shards

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ImageItem:
    """One encoded image: its name in the set, a path or URL of it or its bytes, and its label if one is known."""

    name: str
    data: AnyFile | bytes
    label: Label = None


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images that can be read one after another, any number of times, without holding more than a few in memory.

    Parameters
    ----------
    root : what the names are relative to.
    names : unique, POSIX form.
    fetch : yields the path, URL or bytes of the given ascending positions.
    labels : what a manifest or a Parquet file says about each image, None where it says nothing.
    folder_labels : the first folder of each name, when every image lies in one. Only a guess at classes (the folders
        may be dates or cameras), so `labels` stays None until `labelled` is called.
    class_names : names for integer labels, from the data set's own description.
    metadata : the other columns of a manifest, as text; they go with the verdicts.
    notes : what there is to say of how the images were found: files that are no pictures, columns that were not taken.

    """

    root: AnyFile
    names: Sequence[str]
    fetch: Callable[[NDArray[np.int64]], Iterator[AnyFile | bytes]]
    labels: Sequence[Label] | None = None
    folder_labels: Sequence[str] | None = None
    class_names: tuple[str, ...] | None = None
    rows: NDArray[np.int64] | None = None
    metadata: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, items: Sequence[ImageItem]) -> ImageSet:
        """Make a set of items that are at hand."""
        labels, names = Coded.of(item.label for item in items), Texts.of(item.name for item in items)
        return cls(Path(), names, lambda positions: (items[int(i)].data for i in positions), labels=labels)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[ImageItem]:
        positions = np.arange(len(self)) if self.rows is None else self.rows
        labels = repeat(None) if self.labels is None else self.labels
        for name, label, data in zip(self.names, labels, self.fetch(positions), strict=False):
            yield ImageItem(name, data, label)

    def select(self, rows: Sequence[int] | NDArray[Any]) -> ImageSet:
        """Return the images at these positions, or where a boolean mask is True, each once.

        They keep the order of this set, whatever the order of `rows`, so that packed files are read front to back.
        """
        picked = np.asarray(rows)
        if picked.dtype == bool:
            if len(picked) != len(self):
                raise InputError(f"a mask of {len(picked)} for {len(self)} images; they must be as many")
            picked = np.flatnonzero(picked)
        picked = np.unique(picked.astype(np.int64))
        if len(picked) and (picked[0] < 0 or picked[-1] >= len(self)):
            raise InputError(f"position {picked[0] if picked[0] < 0 else picked[-1]} is not among {len(self)} images")
        positions = picked if self.rows is None else self.rows[picked]
        return replace(
            self,
            names=taken(self.names, picked),
            labels=None if self.labels is None else taken(self.labels, picked),
            folder_labels=None if self.folder_labels is None else taken(self.folder_labels, picked),
            rows=positions,
            metadata={name: taken(values, picked) for name, values in self.metadata.items()},
        )

    def cut(self, rows: Sequence[int] | NDArray[Any]) -> ImageSet:
        """Return what `select` does with nothing but what reading these images takes, to be sent to another process."""
        some = self.select(rows)
        bare = replace(some, labels=None, folder_labels=None, class_names=None, metadata={})
        if not isinstance(self.fetch, _FilesAt | ShardReader) or some.rows is None or not len(some):
            return bare
        fetch, own = self.fetch.cut(some.rows)
        if isinstance(fetch, _FilesAt) and fetch.files == some.names:  # one list is sent, not two
            fetch = replace(fetch, files=some.names)
        return replace(bare, fetch=fetch, rows=own)

    def fingerprint(self) -> str:
        """32 hexadecimal characters that tell this set from others: names in order, metadata, sizes of packed files."""
        hasher = hashlib.blake2b(digest_size=16)
        packed = [[path.name, size_of(path)] for path in getattr(self.fetch, "paths", ())]
        hasher.update(json.dumps([len(self), packed, sorted(self.metadata)]).encode())
        for column in (self.names, *(self.metadata[name] for name in sorted(self.metadata))):
            Texts.of(column).update(hasher)
        return hasher.hexdigest()

    def labelled(self) -> ImageSet:
        """Return the set with labels: its own, or else its folder names; InputError when it has neither."""
        if self.labels is not None:
            return self
        if self.folder_labels is None:
            advice = "sort the images into one folder for each class, or give a manifest with file_name and label"
            raise InputError(f"{self.root} has no labels; {advice}")
        return replace(self, labels=self.folder_labels)


def metadata_of(images: Any) -> Mapping[str, Sequence[str | None]]:
    """Return the columns that a manifest brought along; none for anything but an ImageSet."""
    return images.metadata if isinstance(images, ImageSet) else {}


def find_images(path: AnyPath | Sequence[AnyPath]) -> ImageSet:
    """Find images without opening them.

    `path` is one of: an image file; a folder, flat or nested (sorted by name; hidden files skipped, links followed but
    never in circles); a folder with `metadata.csv`, `.jsonl` or `.parquet` (Hugging Face imagefolder; images that it
    does not name come after those that it names, without a label); a manifest CSV, JSON lines or Parquet with
    `file_name` and optional `label`, relative to the manifest's folder; a Parquet file with the bytes inside (`img` or
    `image` struct of `bytes` and `path`), or a folder of them; or a list of image files and folders, named relative to
    the folder that they share.

    Manifest, Parquet file and folder may also be at a URL (s3://, gs://, file://, and what fsspec knows), and a
    manifest may name images by URL.

    A file that a manifest names and that is absent is no error here: it becomes an image that can't be decoded.

    Raises InputError: nothing there, no image in it (saying what was found), or a name that occurs twice.
    """
    if not isinstance(path, str | os.PathLike):
        return _from_list([Path(one) for one in path])
    root = located(path)
    if isinstance(root, RemotePath):
        return _from_remote(root)
    if root.is_dir():
        return _from_folder(root)
    if not root.exists():
        raise InputError(f"{root} does not exist; give an image, a folder of images, or a manifest")
    if root.suffix.lower() in MANIFEST_SUFFIXES:
        return _from_shards([root], root) if is_shard(root) else _from_manifest(root)
    if root.suffix and not is_image_name(root):
        raise InputError(
            f"{root} is neither an image ({' '.join(IMAGE_SUFFIXES)}) nor a manifest ({' '.join(MANIFEST_SUFFIXES)})"
        )
    return _from_files(root.parent, [root.name])


def _from_list(paths: list[Path]) -> ImageSet:
    if not paths:
        raise InputError("the list of images is empty; give at least one path")
    for path in paths:
        if not path.is_dir() and path.suffix.lower() in MANIFEST_SUFFIXES:
            raise InputError(
                f"{path} is a manifest; in a list give images and folders only, or give the manifest alone"
            )
    files = Texts.of(
        file for path in paths for file in ((str(path / f) for f in _walk(path)) if path.is_dir() else [str(path)])
    )
    if not files:
        raise InputError(
            f"no image in {', '.join(map(str, paths))}; looked for files ending in {' '.join(IMAGE_SUFFIXES)}"
        )
    root = os.path.commonpath({os.path.abspath(os.path.dirname(file)) for file in files})
    return _from_files(Path(root), Texts.of(os.path.relpath(file, root) for file in files))


def _from_folder(root: Path) -> ImageSet:
    metadata = next((root / name for name in METADATA_NAMES if (root / name).is_file()), None)
    if metadata is not None:
        return _from_manifest(metadata, unnamed=_walk(root))
    if files := Texts.of(_walk(root)):
        images = _from_files(root, files)
        return replace(images, folder_labels=_folder_labels(images.names))
    if shards := find_shards(root):
        return _from_shards(shards, root)
    raise InputError(
        f"{root} holds no image; looked for files ending in {' '.join(IMAGE_SUFFIXES)}, found {_contents(root)}"
    )


def _from_remote(root: RemotePath) -> ImageSet:
    if root.suffix.lower() in MANIFEST_SUFFIXES:
        return _from_shards([root], root) if is_shard(root) else _from_manifest(root)
    if is_image_name(root.name):
        return _from_files(root.parent, [root.name])
    files = root.files()
    images = [name for name in files if is_image_name(name)]
    if metadata := next((name for name in METADATA_NAMES if name in files), None):
        return _from_manifest(root / metadata, unnamed=images)
    if images:
        found = _from_files(root, images)
        return replace(found, folder_labels=_folder_labels(found.names))
    if shards := find_shards(root):
        return _from_shards(shards, root)
    raise InputError(f"{root} holds no image; give a manifest, a Parquet file, or a folder of images")


def _from_files(root: AnyFile, files: Sequence[str]) -> ImageSet:
    names = Texts.of(_text(posix(file)) for file in files)
    check_unique(names, root)
    return ImageSet(root, names, _FilesAt(root, names if names == files else files))


def _from_manifest(path: AnyFile, unnamed: Iterable[str] = ()) -> ImageSet:
    manifest = read_manifest(path)
    check_unique(manifest.names, path)
    extra = _unnamed(manifest.names, unnamed)
    images = _from_files(path.parent, Texts.of(chain(manifest.names, extra)) if extra else manifest.names)
    none = (None,) * len(extra)
    labels = None if manifest.labels is None else Coded.of(chain(manifest.labels, none))
    metadata = {name: Texts.of(chain(values, none)) for name, values in manifest.metadata.items()}
    return replace(images, labels=labels, metadata=metadata if extra else manifest.metadata)


def _unnamed(names: Sequence[str], files: Iterable[str]) -> Texts[str]:
    """Return the files that are not among the names; a set of all names would take ten times the memory."""
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    order = np.argsort(hashes)
    ranked = hashes[order]

    def named(text: str) -> bool:
        low, high = (int(np.searchsorted(ranked, hash(text), side)) for side in _SIDES)
        return any(names[int(i)] == text for i in order[low:high])

    return Texts.of(file for file in files if not named(_text(file)))


def _from_shards(paths: Sequence[AnyFile], root: AnyFile) -> ImageSet:
    names, labels, class_names, fetch = read_shards(paths)
    check_unique(names, root)
    return ImageSet(root, names, fetch, labels=labels, class_names=class_names)


@dataclass(frozen=True)
class _FilesAt:
    root: AnyFile
    files: Sequence[str]

    def __call__(self, positions: NDArray[np.int64]) -> Iterator[AnyFile | bytes]:
        return (below(self.root, file) for file in taken(self.files, positions))

    def cut(self, positions: NDArray[np.int64]) -> tuple[_FilesAt, NDArray[np.int64]]:
        return _FilesAt(self.root.absolute(), taken(self.files, positions)), np.arange(len(positions))


def _walk(root: Path) -> Iterator[str]:
    """Names of the images below a folder, sorted; any entry that is named like an image counts, dangling links too."""
    return (file for file in _entries(root, "", frozenset()) if is_image_name(file))


def _entries(root: Path, below: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    folder = root / below
    try:
        status = folder.stat()
        # A link to a folder that this one lies in would go round for ever.
        if (here := (status.st_dev, status.st_ino)) in above:
            return
        with os.scandir(folder) as listing:
            # With the slash that follows it a folder stands where its files do among all names.
            entries = [e.name + "/" * _is_folder(e) for e in listing if not e.name.startswith(".")]
    except OSError as error:
        raise InputError(f"the folder {folder} can't be read ({error.strerror or error})") from error
    entries.sort()
    for name in entries:
        if name.endswith("/"):
            yield from _entries(root, f"{below}{name}", above | {here})
        else:
            yield below + name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Unlike the entry itself, `isdir` answers for links that lead to themselves.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _folder_labels(names: Sequence[str]) -> Sequence[str] | None:
    if not all("/" in name for name in names):
        return None
    return Coded.of(name.partition("/")[0] for name in names)


def _text(name: str) -> str:
    # A Linux file name may be any bytes; those that are not UTF-8 are shown as \xe9, since no table could store them.
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _contents(root: Path) -> str:
    others = list(_entries(root, "", frozenset()))
    if not others:
        return "no file at all"
    return f"{len(others)} other file{'s' * (len(others) > 1)} such as {min(others)!r}"
