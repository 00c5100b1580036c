"""A screening whose folder is at a URL: it goes on in a copy here, and every part is there as soon as it is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from uncertainty.images.remote import AnyFile
from uncertainty.screening.journal import FOLDER, JOURNAL, in_progress, progress_of
from uncertainty.screening.remote_journal import RemoteJournal
from uncertainty.storage.mirror import mirrored


@dataclass(frozen=True)
class Place:
    """Where a screening is written: a folder here, and the journal at a URL if the folder stands for one there."""

    folder: Path
    there: RemoteJournal | None = None


@contextmanager
def screened_at(at: AnyFile) -> Iterator[Place]:
    """Yield where a screening is written, given its folder or a URL; of a URL with what is there, the parts included.

    What is new goes back there as from `mirrored`; finished files are there before the parts are removed.
    """
    if isinstance(at, Path):
        yield Place(at)
        return
    there = RemoteJournal(at / FOLDER)
    with mirrored(at) as here:
        _copy(there, here / FOLDER, parts=True)
        try:
            yield Place(here, there)
        except BaseException:
            there.remove_if_empty()
            raise
        finished = not in_progress(here)
    if finished:
        there.remove()


def _copy(there: RemoteJournal, folder: Path, *, parts: bool) -> None:
    """Write the journal as a folder has it; nothing where none is begun."""
    if (begun := there.begun()) is None:
        return
    task, done = begun
    folder.mkdir()
    (folder / JOURNAL).write_text("\n".join([task, *(json.dumps(asdict(one)) for one in done), ""]), "utf-8")
    if parts:
        there.fetch(done, folder)


def progress_at(out: AnyFile) -> tuple[int, int] | None:
    """Return what `progress_of` does, of a folder or a URL."""
    if isinstance(out, Path):
        return progress_of(out)
    with TemporaryDirectory() as scratch:
        _copy(RemoteJournal(out / FOLDER), Path(scratch) / FOLDER, parts=False)
        return progress_of(Path(scratch))
