"""From a saved screener to one with more, or fewer, known-good images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncertainty.brief import Brief
from uncertainty.classifiers.progress import Progress, silent
from uncertainty.combination.truth import Named
from uncertainty.errors import InputError
from uncertainty.images.sources import find_images
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.output_tables.spec import is_table
from uncertainty.screener import Screener
from uncertainty.screener.backups import changing, kept_beside
from uncertainty.screener.from_tables import fitting, known_good_rows
from uncertainty.screener.known_good import read_names
from uncertainty.screening.saved_screener import SavedScreener


@dataclass(frozen=True, repr=False)
class KnownGoodChange(Brief):
    """The screener before and after, where the new one is and where the one before is kept."""

    before: Screener
    after: Screener
    folder: Path
    kept: Path

    @property
    def notes(self) -> list[str]:
        """What the change left out, in words."""
        return [note for note in self.after.notes if note not in self.before.notes]


def change_known_good(
    screener: SavedScreener,
    *,
    add: Path | None = None,
    remove: Path | None = None,
    into: Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> KnownGoodChange:
    """Remove the images that a text file names from the known-good ones of a screener, then add those of a folder.

    A screener of tables takes those of a table, `table:FILE`.

    Without `into` the new screener takes the place of the old one, which is copied beside it first. `options` are
    those of `Classifier.stream`. The network is loaded only where images are added.
    """
    if add is None and remove is None:
        raise InputError("there is nothing to do; give images to add, or names to remove")
    images = None if add is None else OutputTable.open(add) if is_table(add) else find_images(add)
    with changing(screener.folder, into):
        alone = images is None or isinstance(images, OutputTable)
        before = after = screener.load_alone() if alone else screener.load()
        if remove is not None:
            after = after.without_known_good(read_names(remove))
        if images is not None:
            with progress("adding", len(images)) as advance:
                if isinstance(images, OutputTable):
                    rows, _ = known_good_rows(
                        fitting(after, images), Named(tuple(after.model.classes), after.model.task), advance
                    )
                    after = after.with_known_good(rows)
                else:
                    after = after.with_known_good(images, progress=advance, **options)
        kept = kept_beside(screener.folder, into=into)
        after.save(into or screener.folder)
    return KnownGoodChange(before, after, into or screener.folder, kept)
