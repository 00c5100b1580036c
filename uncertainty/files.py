"""Files that are whole or not there, also after a power cut; folders that one process at a time changes; plain JSON."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

from uncertainty.errors import InputError

logger = logging.getLogger("uncertainty")
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_Held = frozenset[tuple[int, int]]
_HELD: ContextVar[_Held] = ContextVar("folders that this call holds already", default=frozenset())


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as dictionaries and lists, and numbers that do not exist as None.

    >>> plain({"a": (1.5, float("nan")), "b": None})
    {'a': [1.5, None], 'b': None}
    """
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def usual_cache() -> Path:
    """Return where answers of networks are kept if nobody names a place: `uncertainty/passes` among the user's caches.

    Those lie in `$XDG_CACHE_HOME`, or else in `~/.cache`.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "uncertainty" / "passes"


@contextmanager
def replacing(path: Path, binary: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` when all went well, and vanishes when not.

    A link at `path` is replaced, what it leads to is not touched. After a power cut the old file is there or the new
    one. Raises InputError where there is no place for it, OSError, which names `path`, for what the disk says later.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}; choose another place") from error
    try:
        text = {} if binary else {"encoding": "utf-8", "newline": ""}
        with os.fdopen(handle, "wb" if binary else "w", **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def together(folder: Path, name: str) -> Iterator[Path]:
    """Yield a folder to write files into that all appear in `folder` at the end, or none.

    Where a process is killed after it wrote them all, the next one that calls this or `settle` puts them in place; what
    was not written in full is removed. A full disk, which by itself names no file, is an OSError that names `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        _settle(folder, name)
        begun = folder / f".{name}.begun"
        begun.mkdir()
        try:
            yield begun
            sync_folder(begun)
            os.rename(begun, folder / f".{name}.whole")
            sync_folder(folder)
        except BaseException as error:
            _remove(begun)
            if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
                raise OSError(error.errno, error.strerror, str(folder)) from error
            raise
        _settle(folder, name)


def settle(folder: Path, name: str) -> None:
    """Put files in place that a process had written `together` before it was killed."""
    if any(os.path.lexists(folder / f".{name}.{how}") for how in ("whole", "begun")):
        with alone(folder):
            _settle(folder, name)


def _settle(folder: Path, name: str) -> None:
    whole = folder / f".{name}.whole"
    if whole.is_dir() and not whole.is_symlink():
        for path in sorted(whole.iterdir()):
            if path.is_dir():
                _remove(folder / path.name)  # a folder takes the place of an empty one alone
            os.replace(path, folder / path.name)
        sync_folder(folder)
    for left in (whole, folder / f".{name}.begun"):
        _remove(left)


def _remove(path: Path) -> None:
    """Remove a folder of ours; of a link that somebody put there the link alone."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        shutil.rmtree(path)


def sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut, where the system lets one open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path, refusal: str | None = None) -> Iterator[None]:
    """Hold a folder, so that no other process holds it meanwhile; the lock goes with the process.

    Another one that holds it is waited for, and who holds a folder may hold it again; with `refusal` either is an
    InputError that says so. Systems and file systems without such locks do without.
    """
    handle = _opened(folder)
    if handle is None:
        yield
        return
    place = os.fstat(handle)
    held = _HELD.get()
    try:
        if refusal is None and (place.st_dev, place.st_ino) in held:
            yield
            return
        _lock(handle, folder, refusal)
        token = _HELD.set(held | {(place.st_dev, place.st_ino)})
        try:
            yield
        finally:
            _HELD.reset(token)
    finally:
        os.close(handle)


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:
        return None


def _lock(handle: int, folder: Path, refusal: str | None) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if refusal is not None:
            raise InputError(refusal) from error
        logger.warning("waiting for another process that changes %s", folder)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return


def write_json(path: Path, content: Mapping[str, Any], *, allow_nan: bool = False) -> None:
    """Write plain values; a crash leaves the old file or the new one.

    Raises ValueError for numbers that JSON does not have, unless they are allowed; `plain` makes them None.
    """
    with replacing(path, binary=False) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=allow_nan) + "\n")
