"""Files of several arrays (.npz), which are zip files: opened, and refused in one line where they are damaged."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from uncertainty.errors import ImageError, InputError, in_one_line
from uncertainty.images.formats.npy import header
from uncertainty.images.remote import AnyFile, opened


@contextmanager
def archive_of_arrays(path: AnyFile) -> Iterator[zipfile.ZipFile]:
    """Open one; InputError for what is none, is truncated, encrypted, or was packed wrongly, also while it is read."""
    try:
        with opened(path) as raw, zipfile.ZipFile(raw) as archive:
            yield archive
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} can't be read as arrays ({in_one_line(error)})") from error


def header_of(stream: IO[bytes], path: AnyFile, member: str) -> tuple[tuple[int, ...], bool, Any]:
    """Read shape, whether columns lie together, and type of an array, as `npy.header` does; InputError names it."""
    try:
        return header(stream)
    except ImageError as error:
        raise InputError(f"{path} has {member}, which {error}") from error
