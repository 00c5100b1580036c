"""A table of outputs as arrays in one .npz file: `names`, `logits` or `probabilities`, `classes`, `labels`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.array_archive import archive_of_arrays, header_of
from uncertainty.images.remote import AnyFile

_READ = 1 << 20
_CLASSES = "classes"


@dataclass(frozen=True)
class NpzFile:
    """Arrays of n rows each; never those of Python objects, which pickle would read."""

    path: AnyFile
    columns: tuple[str, ...]
    lists: frozenset[str]
    classes: tuple[str, ...] | None
    rows: int

    @classmethod
    def of(cls, path: AnyFile) -> NpzFile:
        """Read the heads of all arrays; InputError where they are not of one length."""
        with archive_of_arrays(path) as archive:
            inside = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            shapes = {name: _shape(archive, name, path) for name in inside}
            classes = _texts(_whole(archive, _CLASSES)) if _CLASSES in inside else None
        shapes.pop(_CLASSES, None)
        lengths = {name: shape[0] for name, shape in shapes.items() if shape}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {n}" for name, n in lengths.items())
            raise InputError(f"{path} has arrays of different lengths ({told}); each must have a row for each image")
        lists = frozenset(name for name, shape in shapes.items() if len(shape) > 1)
        names = None if classes is None else tuple(classes)
        return cls(path, tuple(lengths), lists, names, next(iter(lengths.values()), 0))

    def chunks(self, columns: Sequence[str], start: int, size: int) -> Iterator[dict[str, Any]]:
        """Yield rows as `TableFile` says."""
        with archive_of_arrays(self.path) as archive, ExitStack() as stack:
            readers = {name: _Column(stack.enter_context(_opened(archive, name)), self.path, name) for name in columns}
            for reader in readers.values():
                reader.skip(start)
            for at in range(start, self.rows, size):
                count = min(size, self.rows - at)
                yield {name: _cells(reader.read(count)) for name, reader in readers.items()}


class _Column:
    """An array that is read front to back; one that lies by columns is read whole."""

    def __init__(self, stream: IO[bytes], path: AnyFile, name: str) -> None:
        shape, by_column, self.dtype = header_of(stream, path, f"{name}.npy")
        self.stream, self.shape, self.at = stream, shape[1:], 0
        self.whole: NDArray[Any] | None = None
        self.bytes = self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        if by_column and len(shape) > 1:
            self.whole = np.frombuffer(stream.read(), self.dtype).reshape(shape, order="F")

    def skip(self, rows: int) -> None:
        self.at += rows
        left = rows * self.bytes if self.whole is None else 0
        while left > 0 and (read := self.stream.read(min(left, _READ))):
            left -= len(read)

    def read(self, rows: int) -> NDArray[Any]:
        self.at += rows
        if self.whole is not None:
            return self.whole[self.at - rows : self.at]
        return np.frombuffer(self.stream.read(rows * self.bytes), self.dtype).reshape(rows, *self.shape)


def _cells(array: NDArray[Any]) -> NDArray[Any] | list[Any]:
    return array if array.dtype.kind in "fiu" else _texts(array) if array.dtype.kind in "SU" else array.tolist()


def _texts(array: NDArray[Any]) -> list[str]:
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in array.tolist()]


def _opened(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(f"{name}.npy")


def _shape(archive: zipfile.ZipFile, name: str, path: AnyFile) -> tuple[int, ...]:
    with _opened(archive, name) as stream:
        shape, _, dtype = header_of(stream, path, f"{name}.npy")
    if dtype.hasobject:
        advice = "save text as np.array(names, dtype=str)"
        raise InputError(f"{path} has {name!r} as Python objects, which only pickle reads; {advice}")
    return shape


def _whole(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with _opened(archive, name) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False)).reshape(-1)
