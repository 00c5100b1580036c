"""The screener before a change, kept beside the one that takes its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.screener.artifact import MANIFEST


def refuse_occupied(into: Path | None) -> None:
    """Raise InputError where the folder for a new screener holds one already."""
    if into is not None and (into / MANIFEST).exists():
        raise InputError(f"{into} holds a screener already; choose another folder for the new one")


def kept_beside(screener: Path, id: str, *, into: Path | None = None) -> Path:
    """Return where a screener will be kept: copied to `SCREENER.<its id>`, whole or not at all, or where it is.

    Where it is, if the new one goes `into` another folder; InputError where that holds a screener.
    """
    refuse_occupied(into)
    if into is not None:
        return screener
    whole = screener.resolve()
    kept = whole.with_name(f"{whole.name}.{id}")
    if not kept.exists():
        part = Path(tempfile.mkdtemp(dir=whole.parent, prefix=f".{whole.name}."))
        try:
            shutil.copytree(whole, part / "copy")
            os.replace(part / "copy", kept)
        finally:
            shutil.rmtree(part)
    return kept
