"""A screening whose folder is at a URL: it goes on in a copy here, and every part is there as soon as it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from uncertainty.images.remote import AnyFile, RemotePath
from uncertainty.screening.journal import FOLDER, JOURNAL, in_progress, progress_of
from uncertainty.screening.remote_journal import RemoteJournal
from uncertainty.storage.mirror import mirrored

_JOURNALS: dict[Path, RemoteJournal] = {}


def journal_there(folder: Path) -> RemoteJournal | None:
    """Return the journal at a URL that a folder here stands for, if it does."""
    return _JOURNALS.get(folder)


@contextmanager
def screened_at(at: RemotePath, more: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the folder of a screening at a URL as `mirrored` does, with the parts that are done.

    Finished files are back there before the parts are removed.
    """
    there = RemoteJournal(at / FOLDER)
    with mirrored(at, more) as here:
        _copy(there, here / FOLDER, parts=True)
        _JOURNALS[here] = there
        try:
            yield here
        except BaseException:
            there.remove_if_empty()
            raise
        finally:
            del _JOURNALS[here]
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
