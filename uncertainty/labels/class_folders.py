"""Classes out of the folders that images lie in, whatever stands above or below them."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty.images.packed_text import Coded
from uncertainty.labels.meaning import meanings


def class_folders(names: Sequence[str], classes: Sequence[str]) -> Sequence[str | None]:
    """Return for each name the one folder of its path that is called like a class; None where none is, or two are.

    Numbers are no positions here: folders may be called after cameras or days.

    >>> list(class_folders(["train/cat/1.png", "cat/dog/2.png", "0/3.png"], ["cat", "dog"]))
    ['cat', None, None]
    """
    parts = dict.fromkeys(part for name in names for part in name.split("/")[:-1])
    exact = frozenset(classes)
    known = meanings([part for part in parts if part in exact or not part.isdecimal()], classes)
    return Coded.of(_one([part for part in name.split("/")[:-1] if known.of(part) >= 0]) for name in names)


def _one(parts: list[str]) -> str | None:
    return parts[0] if len(set(parts)) == 1 else None
