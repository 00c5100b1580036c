"""What a fit is refused for before torch and the model are loaded: sets of two kinds, pictures in both, no place."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.images.duplicates import Duplicates, and_pictures, same_bytes
from uncertainty.images.image_set import ImageSet
from uncertainty.output_tables.spec import is_table

logger = logging.getLogger("uncertainty")


def of_tables(calibration: Path, reference: Path | None) -> bool:
    """Whether a fit is one on tables of outputs; InputError where one set is a table and the other are images."""
    given = {"calibration": calibration, "reference": reference}
    tables = {name: is_table(path) for name, path in given.items() if path is not None}
    if len(set(tables.values())) > 1:
        images = next(name for name, table in tables.items() if not table)
        raise InputError(
            f"--{images} {given[images]} is not a table of outputs, and the other set is; give both as table:FILE"
        )
    return tables["calibration"]


def refuse_unwritable(out: Path) -> None:
    """Raise InputError where a screener can't be written to `out`, without making the folder."""
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise InputError(f"{out} can't be written: {there} is a file; choose another place")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise InputError(f"{out} can't be written: {error.strerror or error}; choose another place") from error


def compared(
    reference: ImageSet | None, calibration: ImageSet, workers: int, *, drop_duplicates: bool = False
) -> Duplicates | None:
    """Return what two sets share, files first, since they are quickest, and warn of what looks nearly alike.

    Raises OverlapError where they share a file, or a picture however it was saved, which is not to be left out. What
    only the model's own way of reading can tell, such as one of several pages, is left to the fit.
    """
    if reference is None:
        return None
    found = same_bytes(reference, calibration, workers)
    if not drop_duplicates:
        found.refuse()
    found = and_pictures(found, workers=workers)
    if not drop_duplicates:
        found.however_read().refuse()
    for note in found.near_copies():
        logger.warning("%s", note)
    return found
