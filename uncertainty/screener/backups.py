"""The screener before a change, kept beside the one that takes its place; one process changes a screener at a time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from uncertainty.errors import ArtifactError, InputError
from uncertainty.files import alone, sync_folder
from uncertainty.screener.artifact import MANIFEST, files_of, read_manifest


def refuse_occupied(into: Path | None) -> None:
    """Raise InputError where the folder for a new screener holds one already."""
    if into is not None and os.path.lexists(into / MANIFEST):
        raise InputError(f"{into} holds a screener already; choose another folder for the new one")


@contextmanager
def changing(screener: Path, into: Path | None = None) -> Iterator[None]:
    """Hold a screener from the moment it is read until the changed one is saved, in its place or `into` another folder.

    Another process that changes it is waited for, so that no change is lost. InputError where `into` holds a screener.
    """
    refuse_occupied(into)
    with alone(screener), _new(into):
        yield


@contextmanager
def _new(into: Path | None) -> Iterator[None]:
    """Hold a folder for a new screener; one that was made for it goes again where nothing came of it."""
    if into is None:
        yield
        return
    made = not into.exists()
    into.mkdir(parents=True, exist_ok=True)
    with alone(into):
        refuse_occupied(into)
        try:
            yield
        except BaseException:
            if made:
                with suppress(OSError):
                    into.rmdir()
            raise


def kept_beside(screener: Path, *, into: Path | None = None) -> Path:
    """Return where a screener will be kept: copied to `SCREENER.<its id>`, whole or not at all, or where it is.

    Where it is, if the new one goes `into` another folder; InputError where that holds a screener. One that can't be
    read any more is kept by the hash of its manifest.
    """
    refuse_occupied(into)
    return screener if into is not None else _copied(screener.resolve())


def kept_before(out: Path) -> Path | None:
    """Keep the screener that a new one will replace, as `kept_beside` does; None where there is none."""
    return _copied(out.resolve()) if out.is_dir() and files_of(out) else None


def _copied(whole: Path) -> Path:
    files = files_of(whole)
    _remove_left_over(whole)
    name = f"{whole.name}.{_id(whole / MANIFEST)}"
    for again in count(1):
        kept = whole.with_name(name if again == 1 else f"{name}-{again}")
        if not os.path.lexists(kept):
            break
        # What lies there by that name is the same screener, or somebody else's and left alone.
        if not kept.is_symlink() and kept.is_dir() and _same(files, kept):
            return kept
    try:
        _copy(files, kept)
    except OSError as error:
        raise InputError(f"{kept} can't be written: {error.strerror or error}; nothing was changed") from error
    return kept


def _remove_left_over(whole: Path) -> None:
    """Remove copies that were begun by processes that were killed; whoever holds the screener makes no other now."""
    ours = re.compile(rf"\.{re.escape(whole.name)}\.[0-9a-f]{{16}}(-\d+)?\.\w{{8}}")
    for path in whole.parent.iterdir():
        if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _id(manifest: Path) -> str:
    try:
        return read_manifest(manifest).id
    except ArtifactError:
        return hashlib.sha256(manifest.read_bytes() if manifest.is_file() else b"").hexdigest()[:16]


def _same(files: list[Path], kept: Path) -> bool:
    theirs = files_of(kept)
    names = [path.name for path in files] == [path.name for path in theirs]
    return names and all(a.read_bytes() == b.read_bytes() for a, b in zip(files, theirs, strict=True))


def _copy(files: list[Path], kept: Path) -> None:
    """Copy into a folder of another name, which gets its own when all is on the disk."""
    part = Path(tempfile.mkdtemp(dir=kept.parent, prefix=f".{kept.name}."))
    try:
        (part / "copy").mkdir()
        for path in files:
            copy = shutil.copyfile(path, part / "copy" / path.name, follow_symlinks=False)
            with open(copy, "rb") as file:
                os.fsync(file.fileno())
        sync_folder(part / "copy")
        os.rename(part / "copy", kept)
        sync_folder(kept.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
