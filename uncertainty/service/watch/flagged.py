"""The files of flagged images are moved, copied or linked to a folder; nothing there is ever overwritten."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from uncertainty.files import sync_folder
from uncertainty.service.watch.settings import How


def placed(source: Path, target: Path, how: How) -> Path | None:
    """Put a file where it belongs, numbered where another one has its name; None where it is gone.

    Doing it again, after a process was killed at any moment, ends the same.
    """
    for place in _places(target):
        there = os.path.lexists(place)
        if not os.path.lexists(source):
            return place if there and how is How.MOVE else None
        if there and not _same(source, place, how):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if not there:
            _put(source, place, how)
        if how is How.MOVE:
            source.unlink(missing_ok=True)
            sync_folder(source.parent)
        return place
    return None


def _places(target: Path) -> Iterator[Path]:
    yield target
    for number in count(2):
        yield target.with_name(f"{target.stem}~{number}{target.suffix}")


def _same(source: Path, place: Path, how: How) -> bool:
    if how is How.LINK:
        return place.is_symlink() and os.readlink(place) == str(source.absolute())
    return place.is_file() and not place.is_symlink() and filecmp.cmp(source, place, shallow=False)


def _put(source: Path, place: Path, how: How) -> None:
    if how is How.LINK:
        place.symlink_to(source.absolute())
    else:
        _copy(source, place)
    sync_folder(place.parent)


def _copy(source: Path, place: Path) -> None:
    """Copy under a hidden name first: whoever looks meanwhile sees a whole file or none."""
    handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=".arriving.")
    try:
        with os.fdopen(handle, "wb") as to, source.open("rb") as file:
            shutil.copyfileobj(file, to, 1 << 20)
            to.flush()
            os.fsync(to.fileno())
        shutil.copystat(source, temporary)
        os.replace(temporary, place)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
