"""Arrays in one file, as safetensors has them, read within its bounds and known by their content."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ArtifactError

Arrays = Mapping[str, NDArray[Any]]
# Names of safetensors: a letter for the kind, and the bits.
_DTYPES = {f"{kind.upper()}{8 * n}": np.dtype(f"<{kind}{n}") for kind in "fiu" for n in (2, 4, 8)}
_DTYPES |= {"I8": np.dtype(np.int8), "U8": np.dtype(np.uint8), "BOOL": np.dtype(np.bool_)}
_LONGEST_HEADER = 1 << 24


def content(array: NDArray[Any]) -> str:
    """Return the hash of dtype, shape and values of an array.

    >>> content(np.zeros(2)) == content(np.zeros(2)) != content(np.zeros((1, 2)))
    True
    """
    kept = np.asarray(array, order="C")
    sha = hashlib.sha256(f"{kept.dtype.str} {kept.shape}".encode())
    sha.update(kept.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def as_bytes(arrays: Arrays) -> bytes:
    """Return the file's content."""
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def read_arrays(path: Path, wanted: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of which `wanted` gives the hashes, and see that there are no others.

    Array by array, since `safetensors.load` holds all of them twice, and an index is large. Raises ArtifactError for a
    file that is cut, changed, or of another screener.
    """
    try:
        with path.open("rb") as file:
            places = _header(file)
            if (names := places.keys() ^ wanted.keys()) or not places:
                odd = min(names, default="any array")
                raise ValueError(f"it {'has' if odd in places else 'lacks'} {odd!r}")
            arrays = {name: _array(file, *place) for name, place in places.items()}
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError, OSError) as error:
        raise ArtifactError(f"{path} is damaged or of another screener: {error}; fit the screener again") from error
    for name, array in arrays.items():
        if content(array) != wanted[name]:
            raise ArtifactError(f"{path} is damaged or of another screener: the hash of {name!r} is not the manifest's")
    return arrays


def _header(file: BinaryIO) -> dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]:
    """Return dtype, shape and position of each array; ValueError where they don't fill the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = 8 + int.from_bytes(file.read(8), "little")
    if start > min(size, _LONGEST_HEADER):
        raise ValueError(f"its header would end at {start} of {size} bytes")
    header = json.loads(file.read(start - 8))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    places, used = {}, start
    for name, one in header.items():
        dtype, shape = _DTYPES[one["dtype"]], tuple(one["shape"])
        begin, end = one["data_offsets"]
        if not all(isinstance(n, int) and 0 <= n <= size for n in (*shape, begin, end)):
            raise ValueError(f"{name!r} has no shape or place")
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name!r} has {end - begin} bytes for shape {shape}")
        places[name] = dtype, shape, start + begin
        used += end - begin
    if used != size:
        raise ValueError(f"its arrays fill {used} of {size} bytes")
    return places


def _array(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...], position: int) -> NDArray[Any]:
    file.seek(position)
    count = math.prod(shape)
    found = np.fromfile(file, dtype, count)
    if len(found) != count:
        raise ValueError(f"it ends after {len(found)} of {count} numbers")
    return found.reshape(shape)
