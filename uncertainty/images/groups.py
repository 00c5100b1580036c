"""Which images belong together: frames of one film, pictures of one patient; told by a column, a folder or the name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from uncertainty.errors import InputError

FOLDER = "folder"


@dataclass(frozen=True)
class Grouping:
    """How groups are told: by a column of a table, or `by` "folder" or a regular expression that is found in the name.

    The group is what the first bracket of the expression holds, or all that it finds. An image that has none stands by
    itself. Raises InputError for both ways at once, and for an expression that is none.
    """

    column: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if self.column is not None and self.by is not None:
            raise InputError(f"groups are told by the column {self.column!r} and by {self.by!r}; choose one")
        if self.by is not None and self.by != FOLDER:
            try:
                re.compile(self.by)
            except re.error as error:
                raise InputError(f"{self.by!r} is no regular expression: {error}; or say {FOLDER}") from error

    def of(
        self, names: Sequence[str], columns: Mapping[str, Sequence[str | None]] | None = None
    ) -> dict[str, str] | None:
        """Return the group of each name that has one; None where groups were not asked for.

        Raises InputError for a column that is absent, and where no image has a group.

        >>> Grouping(by="folder").of(["a/1.png", "a/2.png", "3.png"])
        {'a/1.png': 'a', 'a/2.png': 'a'}
        >>> Grouping(by="patient([0-9]+)").of(["patient7_1.png", "patient7_2.png"])
        {'patient7_1.png': '7', 'patient7_2.png': '7'}
        """
        if self.column is None and self.by is None:
            return None
        told = self._told(names) if self.column is None else self._cells(self.column, columns or {})
        found = {name: group for name, group in zip(names, told, strict=True) if group}
        if not found and names:
            how = f"column {self.column!r}" if self.column is not None else repr(self.by)
            raise InputError(f"no image has a group by {how}; images are named like {names[0]!r}")
        return found

    def _told(self, names: Sequence[str]) -> list[str | None]:
        if self.by == FOLDER:
            return [str(PurePosixPath(name).parent) if "/" in name else None for name in names]
        pattern = re.compile(str(self.by))
        matches = [pattern.search(name) for name in names]
        return [None if m is None else m.group(1 if pattern.groups else 0) for m in matches]

    @staticmethod
    def _cells(column: str, columns: Mapping[str, Sequence[str | None]]) -> Sequence[str | None]:
        if column in columns:
            return columns[column]
        there = f"; there are {', '.join(sorted(columns))}" if columns else ", and no other columns"
        raise InputError(f"there is no column {column!r} that says which images belong together{there}")


APART = Grouping()
"""No image belongs to another."""
