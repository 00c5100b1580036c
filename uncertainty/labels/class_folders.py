"""Classes out of the folders that images lie in, whatever stands above or below them."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty.labels.meaning import meanings


def class_folders(names: Sequence[str], classes: Sequence[str]) -> list[str | None]:
    """Return for each name the one folder of its path that is called like a class; None where none is, or two are.

    >>> class_folders(["train/cat/1.png", "cat/dog/2.png", "3.png"], ["cat", "dog"])
    ['cat', None, None]
    """
    folders = [name.split("/")[:-1] for name in names]
    known = meanings({part for parts in folders for part in parts}, classes)
    return [_one([part for part in parts if known.of(part) >= 0]) for parts in folders]


def _one(parts: list[str]) -> str | None:
    return parts[0] if len(set(parts)) == 1 else None
