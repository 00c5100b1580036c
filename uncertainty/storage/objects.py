"""Objects of a store such as S3: written whole or not at all, listed, copied here, removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from uncertainty.errors import ImageError, InputError
from uncertainty.images.remote import RemotePath

_Answer = TypeVar("_Answer")
_FILES_NOT_OBJECTS = ("hdfs", "viewfs")


def writable(at: RemotePath) -> RemotePath:
    """Return a URL that may be written to; InputError where files appear before they are whole."""
    if at.scheme in _FILES_NOT_OBJECTS:
        raise InputError(
            f"{at} is no object store, and a file there appears before it is whole; write to a folder that is mounted, "
            "or to s3:// or gs://"
        )
    if not at.path.strip("/"):
        raise InputError(f"{at} names no folder in its bucket; write scheme://bucket/folder")
    return at


def put(at: RemotePath, data: bytes) -> None:
    """Write an object, which appears whole or not at all."""

    def act(system: Any, path: str) -> None:
        with system.open_output_stream(path) as stream:
            stream.write(data)

    _done(at, act, "written")


def upload(file: Path, at: RemotePath) -> None:
    """Write a file of this machine as an object."""

    def act(system: Any, path: str) -> None:
        from pyarrow.fs import LocalFileSystem, copy_files

        copy_files(str(file), path, LocalFileSystem(), system, use_threads=False)

    _done(at, act, "written")


def download(at: RemotePath, file: Path) -> None:
    """Copy an object to a file of this machine, which appears whole or not at all."""
    begun = file.with_name(f".{file.name}.{os.getpid()}")

    def act(system: Any, path: str) -> None:
        from pyarrow.fs import LocalFileSystem, copy_files

        copy_files(path, str(begun), system, LocalFileSystem(), use_threads=False)

    try:
        _done(at, act, "read")
        os.replace(begun, file)
    finally:
        begun.unlink(missing_ok=True)


def sizes(folder: RemotePath) -> dict[str, int]:
    """Return the names of the objects directly below a folder, hidden ones too, and their bytes; sorted by name."""

    def act(system: Any, path: str) -> dict[str, int]:
        from pyarrow.fs import FileSelector, FileType

        found = system.get_file_info(FileSelector(path, allow_not_found=True))
        return {one.base_name: int(one.size) for one in found if one.type == FileType.File}

    return dict(sorted(_done(folder, act, "read").items()))


def remove(at: RemotePath) -> None:
    """Remove an object, if it is there."""

    def act(system: Any, path: str) -> None:
        from pyarrow.fs import FileType

        if system.get_file_info(path).type == FileType.File:
            system.delete_file(path)

    _done(at, act, "removed")


def remove_below(folder: RemotePath) -> None:
    """Remove all objects below a folder."""

    def act(system: Any, path: str) -> None:
        from pyarrow.fs import FileType

        if system.get_file_info(path).type == FileType.Directory:
            system.delete_dir(path)

    _done(folder, act, "removed")


def _done(at: RemotePath, act: Callable[[Any, str], _Answer], what: str) -> _Answer:
    try:
        return at.attempt(act, what)
    except ImageError as error:
        raise InputError(f"{at} {error}; does the bucket exist, and may it be {what}?") from error
