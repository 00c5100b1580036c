"""A screening in progress: parts of the verdict table and a journal, in a folder that outlives any crash.

`OUT/.screening/` holds `journal.jsonl`, whose first line says what is being done and each further line which part is
done, and `part-00000000.parquet`, ... with the unranked rows of the input positions [k * rows, (k + 1) * rows). A part
depends on its position alone, so any process may write any part, in any order; one process keeps the journal.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_type_hints

from uncertainty.errors import InputError, in_one_line
from uncertainty.files import alone, sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER, JOURNAL = ".screening", "journal.jsonl"
ROWS_IN_A_PART = 1024
"""About so many images are lost by a crash. The rows of a part are a multiple of the images in a batch."""
FORMAT_VERSION = 1
_WORDS = {
    "images": "the input had {} images, now it has {}",
    "input": "the names or columns of the input have changed ({} was {})",
    "model_sha256": "the classifier or its second network was {:.12}, now it is {:.12}",
    "policy": "the policy was {!r}, now it is {!r}",
    "screen_id": "the screener was {}, now it is {}",
    "rows_in_a_part": "a part had {} rows, now it has {}",
    "batch_size": "the batch size was {}, now it is {}",
    "features": "features were kept: {}, now: {}",
    "format_version": "it was begun by a release of format {}, this one has {}",
}


T = TypeVar("T")


def _rebuilt(kind: type[T], values: Any) -> T | None:
    """Make a dataclass of texts, truth values and counts from a JSON object; None where it is of anything else."""
    types = get_type_hints(kind)
    if not isinstance(values, dict) or values.keys() != types.keys():
        return None
    if any(type(values[name]) is not what or (what is int and values[name] < 0) for name, what in types.items()):
        return None
    return kind(**values)


@dataclass(frozen=True)
class Task:
    """What is being done: all that the rows of a part depend on.

    `input` is a fingerprint of the input list, see `uncertainty.screening.part_tables.task_of`.
    """

    images: int
    input: str
    screen_id: str
    model_sha256: str
    policy: str
    batch_size: int
    features: bool
    rows_in_a_part: int = ROWS_IN_A_PART
    format_version: int = FORMAT_VERSION

    @property
    def parts(self) -> int:
        """How many parts there are; the last may be short."""
        return -(-self.images // self.rows_in_a_part)

    def positions(self, part: int) -> range:
        """Return the input positions of a part.

        >>> Task(10, "", "", "", "", 2, True, rows_in_a_part=4).positions(2)
        range(8, 10)
        """
        start = part * self.rows_in_a_part
        return range(start, min(start + self.rows_in_a_part, self.images))

    def difference(self, now: Task) -> str | None:
        """Say in words the first thing in which another task differs; None where nothing does."""
        for name, words in _WORDS.items():
            was, is_now = getattr(self, name), getattr(now, name)
            if was != is_now:
                return words.format(was, is_now)
        return None

    @classmethod
    def from_dict(cls, values: Any) -> Self | None:
        """Undo `asdict`; None for anything else, such as the task of another release."""
        return _rebuilt(cls, values)


@dataclass(frozen=True)
class Written:
    """A part that is on disk, as the journal has it."""

    part: int
    rows: int
    size: int
    blake2b: str

    @classmethod
    def from_dict(cls, values: Any) -> Self | None:
        """Undo `asdict`; None for anything else."""
        return _rebuilt(cls, values)


def part_name(part: int) -> str:
    """Return the file name of a part.

    >>> part_name(7)
    'part-00000007.parquet'
    """
    return f"part-{part:08d}.parquet"


def write_part(folder: Path, part: int, table: pa.Table) -> Written:
    """Write a part so that it appears whole or not at all, also after a power cut; any process may do so."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = [name for name in table.schema.names if not pa.types.is_fixed_size_list(table.schema.field(name).type)]
    sink = pa.BufferOutputStream()
    # Features hardly ever repeat: a dictionary of them costs time and is thrown away.
    pq.write_table(table, sink, use_dictionary=plain)
    data = sink.getvalue()
    _write(folder / part_name(part), data)
    return Written(part, table.num_rows, data.size, hashlib.blake2b(data, digest_size=16).hexdigest())


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of one task, opened by the one process that keeps the journal; see `opened`."""

    folder: Path
    task: Task
    done: dict[int, Written]

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
        self.note(write_part(self.folder, part, table))

    def note(self, written: Written) -> None:
        """Note a part that this or another process wrote with `write_part`."""
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
def opened(out: Path, task: Task, *, resume: bool = False) -> Iterator[Parts]:
    """Open the screening in progress in a folder, or begin one; no other process can while this one is at it.

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
            _write(folder / JOURNAL, "".join(json.dumps(line) + "\n" for line in lines).encode())
        parts = Parts(folder, task, done)
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
    return {written.part: written for written in whole if _is_whole(out / FOLDER, written)}


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


def _is_whole(folder: Path, written: Written) -> bool:
    path = folder / part_name(written.part)
    try:
        if path.stat().st_size != written.size:
            return False
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except OSError:
        return False
    return found.hexdigest() == written.blake2b and _rows(path) == written.rows


def _rows(path: Path) -> int:
    """Count the rows of a part; -1 where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return -1


def _write(path: Path, data: Any) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def moved(source: Path, target: Path) -> None:
    """Put a finished file in the place of another; it is there after a power cut too."""
    with open(source, "rb") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    sync_folder(target.parent)
