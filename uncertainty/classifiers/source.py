"""Where the code of a model spec lies: found without running any of it, and known by its hash."""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple, Self

from uncertainty.classifiers.formats.base import split_prefix


class Source(NamedTuple):
    """A file of Python source and the hash of its content."""

    file: str
    sha256: str

    @classmethod
    def at(cls, file: str) -> Self | None:
        """Read a file; None where it can't be read."""
        try:
            return cls(file, hashlib.sha256(Path(file).read_bytes()).hexdigest())
        except OSError:
            return None

    @classmethod
    def of(cls, target: str) -> Self | None:
        """Find the file that `package.module:factory` would be imported from, or was; None where there is none."""
        prefix, factory = split_prefix(target.partition("?")[0])
        if prefix != "module":  # a file that is read, whose content the fingerprint of the model covers
            return None
        name = factory.partition(":")[0]
        file = getattr(sys.modules.get(name), "__file__", None) or _found(name)
        return None if file is None else cls.at(file)


def _found(name: str) -> str | None:
    """Look along the path as an import would, without importing the packages on the way."""
    path: list[str] | None = None
    origin = None
    parts = name.split(".")
    for k in range(len(parts)):
        try:
            spec = PathFinder.find_spec(".".join(parts[: k + 1]), path)
        except (ImportError, ValueError, OSError):
            return None
        if spec is None:
            return None
        origin, path = spec.origin, list(spec.submodule_search_locations or ())
    return origin if origin not in ("built-in", "frozen", None) else None


def changed(target: str, then: Source | None) -> str | None:
    """Say in words that the code of a spec is not as it was; None where it is, or where nobody knows.

    >>> changed("json:loads", None) is None
    True
    """
    now = Source.of(target)
    if then is None or now is None or now.sha256 == then.sha256:
        return None
    moved = "" if now.file == then.file else f" (then {then.file})"
    return f"{now.file}{moved} is not as it was when the screener was fitted: {now.sha256[:12]}, was {then.sha256[:12]}"
