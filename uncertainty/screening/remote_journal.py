"""The journal of a screening whose folder is at a URL: keys of a store, where nothing can be added to a file.

`OUT/.screening/` holds `task.json`, which says what is being done, the parts, and for each part that is done a key that
says so with its rows, size and hash. That key is written last: a part counts when it is there. The work itself is done
in a copy here, see `uncertainty.screening.screening_at_url`, with the journal of `uncertainty.screening.journal`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from uncertainty.errors import ImageError
from uncertainty.images.remote import AnyFile, RemotePath
from uncertainty.screening.part_files import Written, part_name, write_part
from uncertainty.screening.task import Task
from uncertainty.storage.mirror import side_by_side
from uncertainty.storage.objects import download, put, remove, remove_below, sizes, upload

if TYPE_CHECKING:
    import pyarrow as pa

_TASK = "task.json"
_DONE = re.compile(r"done-([0-9a-f]{8})-(\d{8,})-(\d+)-(\d+)-([0-9a-f]{32})\.json")


@dataclass(frozen=True)
class RemoteJournal:
    """Keys below `at`, which is `OUT/.screening` at a URL."""

    at: RemotePath

    def begin(self, task: Task) -> None:
        """Say what is being done."""
        put(self.at / _TASK, _text(asdict(task)).encode())

    def write(self, file: Path, task: Task, written: Written) -> None:
        """Write a part that lies in a file here, and then the key by which it counts."""
        upload(file, self.at / part_name(written.part))
        put(self.at / _key(task, written), _text(asdict(written)).encode())

    def begun(self) -> tuple[str, list[Written]] | None:
        """Return the task as text and the parts that are done; None where none is begun.

        Keys of another task, written by a worker that outlived it, do not count.
        """
        there = sizes(self.at)
        if _TASK not in there:
            return None
        task = (self.at / _TASK).read_bytes().decode("utf-8", "replace").strip()
        done = []
        for name in there:
            found = _DONE.fullmatch(name)
            if found is not None and found[1] == _digest(task):
                part, rows, size = (int(found[k]) for k in (2, 3, 4))
                if there.get(part_name(part)) == size:
                    done.append(Written(part, rows, size, found[5]))
        return task, done

    def fetch(self, written: Iterable[Written], folder: Path) -> None:
        """Copy parts to a folder here."""
        names = [part_name(one.part) for one in written]
        side_by_side(download, [(self.at / name, folder / name) for name in names])

    def remove(self) -> None:
        """Remove journal and parts; first what says that there is anything to resume."""
        remove(self.at / _TASK)
        remove_below(self.at)

    def remove_if_empty(self) -> None:
        """Remove a journal without a part that is done: there is nothing to keep."""
        if (begun := self.begun()) is None or not begun[1]:
            self.remove()

    def is_begun(self, task: Task) -> bool:
        """Whether this task was begun there."""
        try:
            return (self.at / _TASK).read_bytes().decode("utf-8", "replace") == _text(asdict(task))
        except ImageError:
            return False


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values)


def _digest(task: str) -> str:
    return hashlib.blake2b(task.encode(), digest_size=4).hexdigest()


def _key(task: Task, written: Written) -> str:
    """Return the key of a part that is done."""
    numbers = f"{written.part:08d}-{written.rows}-{written.size}-{written.blake2b}"
    return f"done-{_digest(_text(asdict(task)))}-{numbers}.json"


def write_at(at: AnyFile, part: int, table: pa.Table, task: Task) -> Written:
    """Write a part in a folder, or at a URL with the key by which it counts; any process may do so."""
    if isinstance(at, Path):
        return write_part(at, part, table)
    with TemporaryDirectory(prefix="uncertainty-") as scratch:
        written = write_part(Path(scratch), part, table)
        RemoteJournal(at).write(Path(scratch) / part_name(part), task, written)
    return written
