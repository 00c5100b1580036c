"""A screening in progress: parts of the verdict table and a journal, in a folder that outlives any crash.

`OUT/.screening/` holds `journal.jsonl`, whose first line says what is being done and each further line which part is
done, and `part-00000000.parquet`, ... with the unranked rows of the input positions [k * rows, (k + 1) * rows). A part
depends on its position alone, so any process may write any part, in any order; one process keeps the journal.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.errors import InputError, in_one_line
from uncertainty.files import alone, sync_folder
from uncertainty.screening.part_files import Written, is_whole, part_name, write_part, write_whole
from uncertainty.screening.remote_journal import RemoteJournal
from uncertainty.screening.task import Task

if TYPE_CHECKING:
    import pyarrow as pa

    from uncertainty.images.remote import AnyFile

FOLDER, JOURNAL = ".screening", "journal.jsonl"


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of one task, opened by the one process that keeps the journal; see `opened`."""

    folder: Path
    task: Task
    done: dict[int, Written]
    there: RemoteJournal | None = None

    @property
    def at(self) -> AnyFile:
        """Where any process may write a part."""
        return self.folder if self.there is None else self.there.at

    @property
    def images_done(self) -> int:
        """How many images are in finished parts."""
        return sum(one.rows for one in self.done.values())

    def missing(self) -> Iterator[range]:
        """Yield the parts that are not done, in runs of neighbours, first to last."""
        left = (part for part in range(self.task.parts) if part not in self.done)
        for _, run in groupby(enumerate(left), key=lambda pair: pair[1] - pair[0]):
            parts = [part for _, part in run]
            yield range(parts[0], parts[-1] + 1)

    def write(self, part: int, table: pa.Table) -> None:
        """Write a part and note it."""
        written = write_part(self.folder, part, table)
        if self.there is not None:
            self.there.write(self.folder / part_name(part), self.task, written)
        self._note(written)

    def note(self, written: Written) -> None:
        """Note a part that another process wrote `at` its place."""
        if self.there is not None:
            self.there.fetch([written], self.folder)
        self._note(written)

    def _note(self, written: Written) -> None:
        expected = len(self.task.positions(written.part))
        if written.rows != expected:
            raise InputError(
                f"{self.folder / part_name(written.part)} has {written.rows} rows for {expected} images; "
                "a part has one row for each image, write it again"
            )
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as journal:
            journal.write(json.dumps(asdict(written)) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.done[written.part] = written

    def read(self, part: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a part, or some columns of it; InputError where it was damaged since it was written."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / part_name(part)
        try:
            with pq.ParquetFile(
                path
            ) as file:  # `read_table` would import pyarrow.dataset, which takes a quarter second
                return file.read(columns)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is damaged ({in_one_line(error)}); --resume makes it again") from error

    def remove(self) -> None:
        """Remove journal and parts. The journal goes first: without it there is nothing to resume."""
        (self.folder / JOURNAL).unlink()
        clear(self.folder.parent)


@contextmanager
def opened(out: Path, task: Task, *, resume: bool = False, there: RemoteJournal | None = None) -> Iterator[Parts]:
    """Open the screening in progress in a folder, or begin one; no other process can while this one is at it.

    `there` is what the folder is a copy of, where it is at a URL.

    Parts that are missing, cut short or damaged count as not done. Raises InputError: another process is at it, a
    part is done and `resume` is False, or what was begun is not this task (saying what differs).
    """
    folder = out / FOLDER
    if folder.is_symlink():
        raise InputError(f"{folder} is a link to another folder, where nothing is removed or written; remove the link")
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, f"{out} is being screened by another process; wait for it, or stop it"):
        done = _begun(out, task, resume)
        for temporary in folder.glob(".*"):  # left by a process that was killed
            if temporary.is_symlink() or not temporary.is_dir():
                temporary.unlink()
        lines = [asdict(task), *(asdict(written) for written in done.values())]
        with writing(out):
            write_whole(folder / JOURNAL, "".join(json.dumps(line) + "\n" for line in lines).encode())
        if there is not None and not done:
            there.begin(task)
        parts = Parts(folder, task, done, there)
        try:
            yield parts
        finally:
            # Where nothing is done there is nothing to keep.
            if not parts.done and (folder / JOURNAL).exists():
                parts.remove()


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn what a disk says that is full, or not there any more, into one line that says how to go on."""
    try:
        yield
    except OSError as error:
        why = error.strerror or in_one_line(error)
        raise InputError(f"{out} can't be written ({why}); what is done is kept, go on with --resume") from error


def in_progress(out: Path) -> bool:
    """Whether a screening was begun in a folder and not finished."""
    return (out / FOLDER / JOURNAL).exists()


def clear(out: Path) -> None:
    """Remove what is left of a screening that is over."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def progress_of(out: Path) -> tuple[int, int] | None:
    """Return how many images of how many are done in an unfinished screening; None where there is none."""
    begun = _journal(out / FOLDER / JOURNAL)
    if begun is None or not begun[1]:
        return None
    task, done = begun
    return sum(written.rows for written in done.values()), 0 if task is None else task.images


def _begun(out: Path, task: Task, resume: bool) -> dict[int, Written]:
    begun = _journal(out / FOLDER / JOURNAL)
    if begun is None or not begun[1]:
        return {}
    was, done = begun
    rows = sum(written.rows for written in done.values())
    if not resume:
        raise InputError(
            f"{out} holds an unfinished screening, {rows} images are done; go on with --resume, give another folder, "
            f"or remove {out / FOLDER} to begin anew"
        )
    if was is None:
        raise InputError(f"{out} was begun by another release; finish it with that, or remove {out / FOLDER}")
    if (difference := was.difference(task)) is not None:
        raise InputError(f"{out} can't be resumed: {difference}; give what it was begun with, or another folder")
    expected = {part: len(task.positions(part)) for part in done if part < task.parts}
    whole = (done[part] for part, rows in sorted(expected.items()) if done[part].rows == rows)
    return {written.part: written for written in whole if is_whole(out / FOLDER, written)}


def _journal(path: Path) -> tuple[Task | None, dict[int, Written]] | None:
    """Return what a journal says; the last line may be cut short."""
    try:
        first, *rest = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}); remove {path.parent} to begin anew") from error
    done: dict[int, Written] = {}
    for line in rest:
        if (written := Written.from_dict(_parsed(line))) is not None:
            done[written.part] = written
    task = Task.from_dict(_parsed(first))
    if task is not None and (task.rows_in_a_part < 1 or task.images < 1):
        task = None
    return task, done


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def moved(source: Path, target: Path) -> None:
    """Put a finished file in the place of another; it is there after a power cut too."""
    with open(source, "rb") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    sync_folder(target.parent)
