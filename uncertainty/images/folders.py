"""What lies in a folder: pictures by their names, and how many files are something else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.images.decoding import is_image_name
from uncertainty.images.packed_text import Coded

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""What parts of a data set are called, and what each name means."""

_Folder = tuple[int, int]


class Pictures:
    """The names of the pictures among files, one after another; then how many files were none of them.

    >>> found = Pictures(["a.png", "notes.txt", "b.JPG"])
    >>> list(found), found.notes()
    (['a.png', 'b.JPG'], ("1 other file was not looked at: 'notes.txt'",))
    """

    def __init__(self, files: Iterable[str], known: Sequence[str] = ()) -> None:
        """`known` are files that are read for another reason."""
        self._files, self._known = files, frozenset(known)
        self.others, self.example = 0, ""

    @classmethod
    def below(cls, root: Path, known: Sequence[str] = ()) -> Pictures:
        """Look through a folder, see `entries`; any entry that is named like a picture counts, dangling links too."""
        return cls(entries(root), known)

    def __iter__(self) -> Iterator[str]:
        """Yield names; what they are not is counted meanwhile."""
        for file in self._files:
            if is_image_name(file):
                yield file
            elif file not in self._known:
                self.others += 1
                self.example = self.example or file

    def notes(self) -> tuple[str, ...]:
        """Say how many other files there were, once all have been gone through."""
        if not self.others:
            return ()
        if self.others == 1:
            return (f"1 other file was not looked at: {self.example!r}",)
        return (f"{self.others} other files were not looked at, e.g. {self.example!r}",)


def entries(root: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, relative to it, sorted; hidden ones are skipped.

    Links are followed, but never in circles. Raises InputError for a folder that can't be read.
    """
    levels = [("", frozenset[_Folder](), iter([""]))]
    while levels:
        below, above, names = levels[-1]
        name = next(names, None)
        if name is None:
            levels.pop()
        elif name and not name.endswith("/"):
            yield below + name
        elif (inside := _listed(root, below + name, above)) is not None:
            here, found = inside
            levels.append((below + name, above | {here}, iter(found)))


def _listed(root: Path, below: str, above: frozenset[_Folder]) -> tuple[_Folder, list[str]] | None:
    """Return which folder this is and the names in it, folders with a slash; None for one that lies in itself."""
    folder = root / below
    try:
        status = folder.stat()
        # A link to a folder that this one lies in would go round for ever.
        if (here := (status.st_dev, status.st_ino)) in above:
            return None
        with os.scandir(folder) as listing:
            # With the slash that follows it a folder stands where its files do among all names.
            return here, sorted(e.name + "/" * _is_folder(e) for e in listing if not e.name.startswith("."))
    except OSError as error:
        raise InputError(f"the folder {folder} can't be read ({error.strerror or error})") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Unlike the entry itself, `isdir` answers for links that lead to themselves.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def first_folders(names: Sequence[str]) -> Sequence[str | None] | None:
    """Return the first folder of each name, None for those that lie in none; None where all do.

    >>> list(first_folders(["cat/1.png", "preview.png"])), first_folders(["1.png"])
    (['cat', None], None)
    """
    if not any("/" in name for name in names):
        return None
    return Coded.of(name.partition("/")[0] if "/" in name else None for name in names)


def splits_of(folders: Sequence[str | None] | None) -> Sequence[str | None] | None:
    """Return folder names as parts of a data set, where all are called like one; None where they are something else.

    >>> splits_of(["train", "valid"]), splits_of(["train", "cat"])
    (['train', 'valid'], None)
    """
    if folders is None or not {str(one).lower() for one in folders} <= SPLITS.keys():
        return None
    return folders


def contents(root: Path) -> str:
    """Say what a folder without pictures holds."""
    others = list(entries(root))
    if not others:
        return "no file at all"
    return f"{len(others)} other file{'s' * (len(others) > 1)} such as {min(others)!r}"
