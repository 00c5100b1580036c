"""A part of the verdict table as a file: written whole or not at all by any process, known by its size and hash."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_type_hints

from uncertainty.files import sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


def rebuilt(kind: type[T], values: Any) -> T | None:
    """Make a dataclass of texts, truth values and counts from a JSON object; None where it is of anything else."""
    types = get_type_hints(kind)
    if not isinstance(values, dict) or values.keys() != types.keys():
        return None
    if any(type(values[name]) is not what or (what is int and values[name] < 0) for name, what in types.items()):
        return None
    return kind(**values)


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
        return rebuilt(cls, values)


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
    write_whole(folder / part_name(part), data)
    return Written(part, table.num_rows, data.size, hashlib.blake2b(data, digest_size=16).hexdigest())


def is_whole(folder: Path, written: Written) -> bool:
    """Whether a part is there as it was written."""
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


def write_whole(path: Path, data: Any) -> None:
    """Write a file that appears whole or not at all."""
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
