"""Which files of a folder are complete: those whose size and time have stayed the same for a while.

The folder is looked through again and again. Systems tell of files that are closed (inotify and the like), but not of
those that another machine writes to a network share, and files that come by a rename or a copy tool are closed at other
moments on each; a look works everywhere, and is needed after a restart anyway.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from uncertainty.images.decoding import is_image_name

_WAITING = 10_000
"""Files that are waited for at the same time; the others are found again when these are done."""
_PATIENCE = 30
"""Times the usual wait, for a file that can't be read: its writer may have paused."""


class Stamp(NamedTuple):
    """What changes when a file does."""

    size: int
    changed: int


@dataclass
class _Seen:
    stamp: Stamp
    since: float
    turn: int
    patient: bool = False


@dataclass
class Arrivals:
    """The files of a folder that are waited for.

    Parameters
    ----------
    folder : where they arrive.
    settle : seconds for which a file must stay as it is; counted by a clock that nobody sets.
    known : whether a file, named relative to the folder, is done as it is now.
    clock : seconds that only grow.

    """

    folder: Path
    settle: float
    known: Callable[[str, Stamp], bool]
    clock: Callable[[], float] = time.monotonic
    _waiting: dict[str, _Seen] = field(default_factory=dict)
    _turn: int = 0

    def look(self) -> None:
        """Look through the folder once: new files are waited for, changed ones anew, those that are gone no longer."""
        self._turn += 1
        now = self.clock()
        for name, stamp in files_of(self.folder):
            seen = self._waiting.get(name)
            if seen is not None:
                seen.turn = self._turn
                if seen.stamp != stamp:
                    self._waiting[name] = _Seen(stamp, now, self._turn)
            elif len(self._waiting) < _WAITING and not self.known(name, stamp):
                self._waiting[name] = _Seen(stamp, now, self._turn)
        gone = [name for name, seen in self._waiting.items() if seen.turn != self._turn]
        for name in gone:
            del self._waiting[name]

    def complete(self, most: int) -> list[tuple[str, Stamp]]:
        """Return files that have stayed as they are for long enough, by name, at most so many."""
        now = self.clock()
        due = sorted(name for name, seen in self._waiting.items() if now - seen.since >= self._wait(seen))
        return [(name, self._waiting[name].stamp) for name in due[:most]]

    def done(self, name: str) -> None:
        """Wait for a file no longer."""
        self._waiting.pop(name, None)

    def put_off(self, name: str) -> bool:
        """Give a file that could not be read more time to become whole; False where it has had it."""
        seen = self._waiting[name]
        was, seen.patient = seen.patient, True
        return not was

    @property
    def waiting(self) -> int:
        """How many files are waited for."""
        return len(self._waiting)

    def _wait(self, seen: _Seen) -> float:
        return self.settle * (_PATIENCE if seen.patient else 1)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def files_of(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """Yield the pictures below a folder as the system lists them, by their names, never all of them in memory.

    Hidden files and folders, and links to folders, are left out; what vanishes meanwhile or may not be read is too.
    """
    below = [""]
    while below:
        inside = below.pop()
        try:
            with os.scandir(folder / inside) as listing:
                for entry in listing:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(f"{inside}{entry.name}/")
                    elif is_image_name(entry.name) and entry.is_file():
                        status = entry.stat()
                        yield inside + entry.name, Stamp(status.st_size, status.st_mtime_ns)
        except OSError:  # a share that is away for a moment, a folder that is gone: the next look tells
            continue
