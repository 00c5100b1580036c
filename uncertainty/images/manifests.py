"""Tables that name images, one row each: CSV, JSON lines or Parquet with `file_name` and optional `label`."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.packed_text import Coder, Packer, double
from uncertainty.images.remote import AnyFile, is_url, opened

NAME_COLUMNS = ("file_name", "filepath", "filename", "path", "image")
LABEL_COLUMN = "label"
MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")

Label = str | int | None
_JSON = (bool, int, float, list, dict)
_WHOLE = 2**53
_ROWS_AT_ONCE = 4096
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """Names in POSIX form in the table's order, their labels (None: no such column), and the columns it has.

    `metadata` are all other columns as text, None where a cell is empty. All are packed, see
    `packed_text`.
    """

    names: Sequence[str]
    labels: Sequence[Label] | None
    columns: tuple[str, ...]
    metadata: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


def read_manifest(path: AnyFile) -> Manifest:
    """Read the file names of a table, and its labels where it has them; a few rows are in memory at a time.

    The name column is the first present of `file_name`, `filepath`, `filename`, `path` and `image`. CSV is UTF-8 (a
    byte order mark is fine), separated by commas, and its labels stay strings: "01" is not 1. Empty labels become None.
    Images may be named by URL.

    Raises InputError, naming the file and where possible the row: no such file, a damaged table, no name column (the
    columns found are quoted), a row without a name, a label that is neither a name nor an index, or no rows.
    """
    with _told(path):
        columns = _columns(path)
        name_column = next((name for name in NAME_COLUMNS if name in columns), None)
        if name_column is None:
            advice = f"(or {', '.join(NAME_COLUMNS[1:])}); it has {quoted(columns)}"
            raise InputError(f"{path} has no column file_name {advice}")
        labels: Coder[Label] | None = Coder() if LABEL_COLUMN in columns else None
        names: Packer[str] = Packer()
        others = _Others([name for name in columns if name and name not in (name_column, LABEL_COLUMN)])
        for i, row in enumerate(_rows(path)):
            names.append(_name(row.get(name_column), path, i))
            others.add(row, i)
            if labels is not None:
                labels.append(_label(row.get(LABEL_COLUMN), path, i))
    packed = names.packed()
    if not packed:
        raise InputError(f"{path} has no rows; it must name at least one image")
    return Manifest(packed, None if labels is None else labels.packed(), columns, others.packed())


class _Others:
    """The other columns on their way: those that are read, and hold no bytes, which nobody sorts by."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._wanted = list(columns)
        self._packers: dict[str, Packer[str | None]] = {}

    def add(self, row: Mapping[str, Any], i: int) -> None:
        for name in list(self._wanted):
            if isinstance(row.get(name), bytes):
                self._wanted.remove(name)
                self._packers.pop(name, None)
                continue
            if name in row and name not in self._packers:
                self._packers[name] = Packer(absent=i)
            if name in self._packers:
                self._packers[name].append(as_text(row.get(name)))

    def packed(self) -> dict[str, Sequence[str | None]]:
        return {name: self._packers[name].packed() for name in self._wanted if name in self._packers}


def as_text(value: Any) -> str | None:
    """Return a cell of a table as text: whole floats as integers, nothing, "" and NaN as None, the rest as JSON has it.

    >>> as_text(3.0), as_text("roof"), as_text(True), as_text(float("nan")), as_text(["a", 1])
    ('3', 'roof', 'true', None, '["a", 1]')
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        value = int(value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, _JSON) else str(value)


def check_unique(names: Sequence[str], where: AnyFile) -> None:
    """Raise InputError naming the first name that occurs twice."""
    if (name := double(names)) is not None:
        raise InputError(f"{where} names {name!r} more than once; each image must be named once")


@contextmanager
def _told(path: AnyFile) -> Iterator[None]:
    """Turn what reading raises into an InputError that names the file."""
    import pyarrow as pa

    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} can't be read as Parquet ({_first_line(error)})") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or _first_line(error)})") from error


def _columns(path: AnyFile) -> tuple[str, ...]:
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        raise InputError(f"{path} is not a table; give a file ending in {', '.join(MANIFEST_SUFFIXES)}")
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with opened(path) as raw:
            return tuple(pq.read_schema(raw).names)
    if suffix == ".csv":
        with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
            return _header(csv.reader(file, strict=True), path)
    return tuple(dict.fromkeys(key for row in _json_lines(path) for key in row))


def _rows(path: AnyFile) -> Iterator[dict[str, Any]]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_rows(path)
    return _csv_rows(path) if suffix == ".csv" else _json_lines(path)


def _header(reader: Any, path: AnyFile) -> tuple[str, ...]:
    try:
        return tuple(name.strip() for name in next(reader, ()))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}, is not valid CSV ({error})") from error


def _csv_rows(path: AnyFile) -> Iterator[dict[str, Any]]:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        columns = _header(reader, path)
        try:
            for row in reader:
                if row:
                    yield dict(zip(columns, _fields(row, columns, path, reader.line_num), strict=True))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}, is not valid CSV ({error})") from error


def _fields(row: list[str], columns: Sequence[str], path: AnyFile, line: int) -> list[str]:
    if len(row) != len(columns):
        advice = "put a value with a comma in double quotes"
        raise InputError(f"{path}, line {line}, has {len(row)} fields where the header has {len(columns)}; {advice}")
    return row


def _json_lines(path: AnyFile) -> Iterator[dict[str, Any]]:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}, is not valid JSON ({error})") from error
            if not isinstance(row, dict):
                advice = 'write {"file_name": ...} in each line'
                raise InputError(f"{path}, line {number}, is not a JSON object; {advice}")
            yield row


def _parquet_rows(path: AnyFile) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with opened(path) as raw, pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
        needed = (*NAME_COLUMNS, LABEL_COLUMN)
        wanted = [one.name for one in file.schema_arrow if one.name in needed or not _holds_bytes(one.type)]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
            yield from batch.to_pylist()


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_kind(kind) for is_kind in (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary))


def _name(value: Any, path: AnyFile, row: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}, row {row + 1}, has {value!r} where a file name belongs")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}, row {row + 1}, has the file name {value!r}, which is not valid Unicode") from error
    return posix(value)


def posix(name: str) -> str:
    """Return a path with single slashes and no dots in between; `..` stays, and so does a URL.

    >>> posix("a/b.png"), posix("./a//b.png"), posix("../a/./b.png"), posix("s3://a/b.png")
    ('a/b.png', 'a/b.png', '../a/b.png', 's3://a/b.png')
    """
    # pathlib interns the parts of every path, in a table that grows with the images.
    plain = os.sep == "/" and not ("//" in name or "/./" in name or name.startswith("./") or name.endswith(("/", "/.")))
    return name if plain or is_url(name) else PurePath(name).as_posix()


def _label(value: Any, path: AnyFile, row: int) -> Label:
    # Tables made by pandas hold integers with gaps as floats, NaN in the gaps.
    if isinstance(value, float) and (math.isnan(value) or value.is_integer()):
        value = None if math.isnan(value) else int(value)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{path}, row {row + 1}, has the label {value!r}; a label is a class name or an index")
    return value


def quoted(columns: Sequence[str]) -> str:
    """Write column names for an error message."""
    return ", ".join(repr(name) for name in columns) or "no columns"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
