"""What a fit can be refused for before a model is loaded: a folder that can't be written, files in both sets."""

from __future__ import annotations

import tempfile
from pathlib import Path

from uncertainty.combination.duplicates import same_bytes
from uncertainty.errors import InputError
from uncertainty.images.image_set import ImageSet


def refuse_unwritable(out: Path) -> None:
    """Raise InputError where a screener can't be written to `out`, without making the folder."""
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise InputError(f"{out} can't be written: {there} is a file; choose another place")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise InputError(f"{out} can't be written: {error.strerror or error}; choose another place") from error


def refuse_same_files(reference: ImageSet | None, calibration: ImageSet, *, drop_duplicates: bool = False) -> None:
    """Raise OverlapError where calibration holds a file of the reference; pictures saved again need the model."""
    if reference is not None and not drop_duplicates:
        same_bytes(reference, calibration).refuse()
