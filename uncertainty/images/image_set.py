"""Images that can be read one after another, any number of times: their names, and how to get at their bytes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.decoding import is_image_name
from uncertainty.images.manifests import Label
from uncertainty.images.packed_text import AT_ONCE, Coded, Texts, taken
from uncertainty.images.remote import AnyFile, below, size_of


@dataclass(frozen=True)
class FilesAt:
    """Files by their names below a folder or URL."""

    root: AnyFile
    files: Sequence[str]

    def __call__(self, positions: NDArray[np.int64]) -> Iterator[AnyFile | bytes]:
        """Yield the paths of these positions."""
        return (_there(below(self.root, file)) for file in taken(self.files, positions))

    def cut(self, positions: NDArray[np.int64]) -> tuple[FilesAt, NDArray[np.int64]]:
        """Return these files alone, and their positions among them."""
        return FilesAt(self.root.absolute(), taken(self.files, positions)), np.arange(len(positions))


def _there(path: AnyFile) -> AnyFile:
    """Return the file that a name means: in whichever Unicode form it has on the disk, since macOS takes é apart and
    tables do not; and with the one ending that is there, for a name without any.
    """
    bare = not path.suffix
    if not isinstance(path, Path) or (str(path).isascii() and not bare) or _exists(path):
        return path
    parent = _there(path.parent) if not str(path.parent).isascii() else path.parent
    if not isinstance(parent, Path) or not parent.is_dir():
        return path
    by_name, by_stem = _inside(parent, parent.stat().st_mtime_ns)
    wanted = normalize("NFC", path.name)
    same = by_name.get(wanted) or (by_stem.get(wanted, []) if bare else [])
    return parent / same[0] if len(same) == 1 else path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for any file
        return False


@lru_cache(maxsize=4)
def _inside(folder: Path, changed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the names in a folder by their usual Unicode form, whole and of pictures without their ending."""
    by_name: dict[str, list[str]] = {}
    by_stem: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        by_name.setdefault(normalize("NFC", name), []).append(name)
        if is_image_name(name):
            by_stem.setdefault(normalize("NFC", os.path.splitext(name)[0]), []).append(name)
    return by_name, by_stem


@dataclass(frozen=True, eq=False)
class ImageItem:
    """One encoded image: its name in the set, a path or URL of it or its bytes, and its label if one is known."""

    name: str
    data: AnyFile | bytes
    label: Label = None


class Inside(NamedTuple):
    """What files with many images inside hold: names, labels, and how to get at the bytes, see `ImageSet`."""

    names: Sequence[str]
    labels: Sequence[Label] | None
    fetch: Any
    class_names: tuple[str, ...] | None = None
    splits: Sequence[str | None] | None = None


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images that can be read one after another, any number of times, without holding more than a few in memory.

    Parameters
    ----------
    root : what the names are relative to.
    names : unique, POSIX form.
    fetch : yields the path, URL or bytes of the given ascending positions.
    labels : what a manifest or a Parquet file says about each image, None where it says nothing.
    folder_labels : the first folder of each name, None for an image that lies in none. Only a guess at classes (the
        folders may be dates or cameras), so `labels` stays None until `labelled` is called.
    class_names : names for integer labels, from the data set's own description.
    metadata : the other columns of a manifest, as text; they go with the verdicts.
    splits : which part of a data set each image belongs to, "train" or "test", where its source says so.
    asked : the labels of a source that answers each of them for each image, in a column of its own; None for others.
    notes : what there is to say of how the images were found: files that are no pictures, columns that were not taken.

    """

    root: AnyFile
    names: Sequence[str]
    fetch: Callable[[NDArray[np.int64]], Iterator[AnyFile | bytes]]
    labels: Sequence[Label] | None = None
    folder_labels: Sequence[str | None] | None = None
    class_names: tuple[str, ...] | None = None
    rows: NDArray[np.int64] | None = None
    metadata: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] | None = None

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
            splits=None if self.splits is None else taken(self.splits, picked),
            rows=positions,
            metadata={name: taken(values, picked) for name, values in self.metadata.items()},
        )

    def cut(self, rows: Sequence[int] | NDArray[Any]) -> ImageSet:
        """Return what `select` does with nothing but what reading these images takes, to be sent to another process."""
        some = self.select(rows)
        bare = replace(some, labels=None, folder_labels=None, splits=None, class_names=None, metadata={})
        if not hasattr(self.fetch, "cut") or some.rows is None or not len(some):
            return bare
        fetch, own = self.fetch.cut(some.rows)
        if isinstance(fetch, FilesAt) and fetch.files == some.names:  # one list is sent, not two
            fetch = replace(fetch, files=some.names)
        return replace(bare, fetch=fetch, rows=own)

    def fingerprint(self) -> str:
        """32 hexadecimal characters that tell this set from others: names in order, metadata, sizes of packed files."""
        hasher = hashlib.blake2b(digest_size=16)
        packed = [[path.name, size_of(path)] for path in getattr(self.fetch, "paths", ())]
        hasher.update(json.dumps([len(self), packed, sorted(self.metadata)]).encode())
        for column in (self.names, *(self.metadata[name] for name in sorted(self.metadata))):
            for start in range(0, len(column), AT_ONCE):  # a list need not be packed to be known
                Texts.of(column[start : start + AT_ONCE]).update(hasher)
        return hasher.hexdigest()

    def labelled(self) -> ImageSet:
        """Return the set with labels: its own, or else its folder names; InputError when it has neither.

        An image that lies in no folder beside others that do has no label.
        """
        if self.labels is not None:
            return self
        if self.folder_labels is None:
            advice = "sort the images into one folder for each class, or give a manifest with file_name and label"
            raise InputError(f"{self.root} has no labels; {advice}")
        return replace(self, labels=self.folder_labels)


def metadata_of(images: Any) -> Mapping[str, Sequence[str | None]]:
    """Return the columns that a manifest, or a table of outputs, brought along; none for images without any."""
    return getattr(images, "metadata", {})
