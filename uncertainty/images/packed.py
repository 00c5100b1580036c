"""Files with many images inside: which there are, and one set of images out of one file or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from uncertainty.images import array_files, shards, tar_files
from uncertainty.images.folders import SPLITS, first_folders
from uncertainty.images.image_set import ImageSet
from uncertainty.images.manifests import check_unique
from uncertainty.images.packed_text import Coded, Numbered
from uncertainty.images.remote import AnyFile, RemotePath
from uncertainty.images.tar_files import TarReader

_KINDS: tuple[Any, ...] = (shards, tar_files, array_files)
PACKED_SUFFIXES = tuple(suffix for kind in _KINDS for suffix in kind.SUFFIXES)


def is_packed(path: AnyFile) -> bool:
    """Whether a file holds images: Parquet, a tar as WebDataset writes it, or arrays as MedMNIST publishes them."""
    return _kind(path) is not None


def _kind(path: AnyFile) -> Any:
    named = (kind for kind in _KINDS if path.name.lower().endswith(kind.SUFFIXES))
    return next((kind for kind in named if kind.holds_images(path)), None)


def packed_files(folder: AnyFile) -> list[AnyFile]:
    """Return the files with images inside that lie directly in a folder, sorted by name, all of the first such kind."""
    if isinstance(folder, RemotePath):
        inside: Sequence[AnyFile] = [folder / name for name in folder.files() if "/" not in name]
    else:
        inside = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    found = [(kind, file) for file in inside if (kind := _kind(file)) is not None]
    return [file for kind, file in found if kind is found[0][0]]


def read_packed(paths: Sequence[AnyFile], root: AnyFile) -> ImageSet:
    """Return the images of files of one kind as one set, with labels and parts ("train", "test") where told."""
    inside = _kind(paths[0]).read(paths)
    if not isinstance(inside.names, Numbered):  # which differ as their files do
        check_unique(inside.names, root)
    folders = first_folders(inside.names) if inside.labels is None and isinstance(inside.fetch, TarReader) else None
    splits = _splits(paths, inside.fetch.counts) if inside.splits is None else inside.splits
    return ImageSet(root, **{**inside._asdict(), "splits": splits}, folder_labels=folders)


def _splits(paths: Sequence[AnyFile], counts: Sequence[int]) -> Sequence[str | None] | None:
    """Return the part that each image belongs to by the name of its file, as in `train-00000-of-00002.parquet`."""
    parts = [_split(path.name) for path in paths]
    if None in parts or len(set(parts)) < 2:
        return None

    def each() -> Iterator[str | None]:
        for part, count in zip(parts, counts, strict=True):
            yield from [part] * count

    return Coded.of(each())


def _split(name: str) -> str | None:
    word = PurePath(name).name.split(".")[0]
    for sign in "-_0123456789":
        word = word.partition(sign)[0]
    return word.lower() if word.lower() in SPLITS else None
