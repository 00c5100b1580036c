"""Arrays of small images in one .npz file, as MedMNIST publishes them: `train_images`, `train_labels` and so on."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.array_archive import archive_of_arrays, header_of
from uncertainty.images.image_set import Inside
from uncertainty.images.label_text import of_row
from uncertainty.images.manifests import Label
from uncertainty.images.packed_text import Coded, Texts
from uncertainty.images.remote import AnyFile
from uncertainty.images.several_files import SeveralFiles

SUFFIXES = (".npz",)
_PARTS = ("train", "val", "test")
_READ = 1 << 20


def holds_images(path: AnyFile) -> bool:
    """Whether the file has arrays called as MedMNIST calls them."""
    with archive_of_arrays(path) as archive:
        return bool(_images(archive))


def read(paths: Sequence[AnyFile]) -> Inside:
    """Return names (`train/0000007`), labels, parts, and a reader of each image as a pixmap or as .npy.

    Images are (n, h, w), (n, h, w, 3), or of other bands and numbers, which are read as .npy files are. Labels of shape
    (n, 1) are positions of classes; of (n, c) with zeros and ones several classes, joined by semicolons, an empty text
    for none. Raises InputError for anything else.
    """
    found = [_contents(path) for path in paths]
    names = [name for names, _, _ in found for name in names]
    labels = [label for _, labels, _ in found for label in labels]
    reader = ArrayReader(tuple(paths), tuple(len(inside) for inside, _, _ in found))
    splits = Coded.of(part for _, _, parts in found for part in parts)
    if len(paths) > 1:
        stems = (stem for path, (inside, _, _) in zip(paths, found, strict=True) for stem in [path.stem] * len(inside))
        names = [f"{stem}/{name}" for stem, name in zip(stems, names, strict=True)]
    known = Coded.of(labels) if any(one is not None for one in labels) else None
    return Inside(Texts.of(names), known, reader, splits=splits)


def _contents(path: AnyFile) -> tuple[list[str], list[Label], list[str | None]]:
    names: list[str] = []
    labels: list[Label] = []
    with archive_of_arrays(path) as archive:
        for member in _images(archive):
            part = member.partition("_")[0]
            with archive.open(member) as stream:
                shape, dtype = _header(stream, path, member)
            if math.prod(shape) * dtype.itemsize > archive.getinfo(member).file_size:
                raise InputError(f"{path} has {member} that is truncated: it lacks some of {shape[0]:,} images")
            names += [f"{part}/{i:07d}" for i in range(shape[0])]
            labels += _labels(archive, f"{part}_labels.npy", shape[0], path)
    return names, labels, [name.partition("/")[0] for name in names]


def _labels(archive: zipfile.ZipFile, member: str, n: int, path: AnyFile) -> Sequence[Label]:
    if member not in archive.namelist():
        return [None] * n
    with archive.open(member) as stream:
        values = np.lib.format.read_array(stream, allow_pickle=False)
    values = values.reshape(len(values), -1) if values.ndim else values.reshape(0, 0)
    if values.dtype.kind not in "iu" or len(values) != n:
        raise InputError(f"{path} has {member} of {values.dtype} {values.shape} for {n} images; they must be integers")
    if values.shape[1] == 1:
        return [int(value) for value in values[:, 0]]
    try:
        return [of_row(row) for row in values.tolist()]
    except ValueError as error:
        raise InputError(f"{path} has in {member} {error}") from error


class ArrayReader(SeveralFiles):
    """Images of arrays in files, each as the bytes of a portable pixmap, or of .npy where a pixmap can't hold it."""

    def read(self, path: AnyFile, positions: NDArray[np.int64], count: int) -> Iterator[AnyFile | bytes]:
        """Read front to back, one image in memory at a time."""
        return _pixmaps(path, positions)


def _pixmaps(path: AnyFile, wanted: NDArray[np.int64]) -> Iterator[bytes]:
    start = 0
    with archive_of_arrays(path) as archive:
        for member in _images(archive):
            with archive.open(member) as stream:
                (n, *shape), dtype = _header(stream, path, member)
                low, high = np.searchsorted(wanted, (start, start + n))
                size, at, head = math.prod(shape) * dtype.itemsize, 0, _head(shape, dtype)
                for row in (wanted[low:high] - start).tolist():
                    _skip(stream, (row - at) * size)
                    yield head + stream.read(size)
                    at = row + 1
            start += n


def _head(shape: list[int], dtype: np.dtype[Any]) -> bytes:
    """Return what stands before the values of one image."""
    if dtype == np.uint8 and shape[2:] in ([], [3]):
        return b"P%d %d %d 255\n" % (6 if shape[2:] else 5, shape[1], shape[0])
    head = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (read := stream.read(min(count, _READ))):
        count -= len(read)


def _images(archive: zipfile.ZipFile) -> list[str]:
    inside = set(archive.namelist())
    return [f"{part}_images.npy" for part in _PARTS if f"{part}_images.npy" in inside]


def _header(stream: IO[bytes], path: AnyFile, member: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read shape and type of an array, and leave the stream where its values begin."""
    shape, by_column, dtype = header_of(stream, path, member)
    if dtype.kind not in "uif" or by_column or len(shape) not in (3, 4) or min(shape[1:]) < 1:
        raise InputError(
            f"{path} has {member} of {dtype} {shape}; images are numbers of shape (n, h, w) or (n, h, w, 3)"
        )
    return shape, dtype
