"""Tables that name images, one row each: CSV, JSON lines or Parquet with `file_name` and optional `label`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from uncertainty.errors import InputError
from uncertainty.remote import AnyFile, is_url, opened

NAME_COLUMNS = ("file_name", "filepath", "filename", "path", "image")
LABEL_COLUMN = "label"
MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")

Label = str | int | None
_JSON = (bool, int, float, list, dict)
_WHOLE = 2**53


@dataclass(frozen=True)
class Manifest:
    """Names in POSIX form in the table's order, their labels (None: no such column), and the columns it has.

    `metadata` are all other columns as text, None where a cell is empty.
    """

    names: tuple[str, ...]
    labels: tuple[Label, ...] | None
    columns: tuple[str, ...]
    metadata: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)


def read_manifest(path: AnyFile) -> Manifest:
    """Read the file names of a table, and its labels where it has them.

    The name column is the first present of `file_name`, `filepath`, `filename`, `path` and `image`. CSV is UTF-8 (a
    byte order mark is fine), separated by commas, and its labels stay strings: "01" is not 1. Empty labels become None.
    Images may be named by URL.

    Raises InputError, naming the file and where possible the row: no such file, a damaged table, no name column (the
    columns found are quoted), a row without a name, a label that is neither a name nor an index, or no rows.
    """
    columns, rows = read_rows(path)
    name_column = next((name for name in NAME_COLUMNS if name in columns), None)
    if name_column is None:
        raise InputError(f"{path} has no column file_name (or {', '.join(NAME_COLUMNS[1:])}); it has {quoted(columns)}")
    names = tuple(_name(row.get(name_column), path, i) for i, row in enumerate(rows))
    if not names:
        raise InputError(f"{path} has no rows; it must name at least one image")
    labels = None
    if LABEL_COLUMN in columns:
        labels = tuple(_label(row.get(LABEL_COLUMN), path, i) for i, row in enumerate(rows))
    others = [name for name in columns if name and name not in (name_column, LABEL_COLUMN)]
    metadata = {name: tuple(as_text(row.get(name)) for row in rows) for name in others if _is_plain(name, rows)}
    return Manifest(names, labels, columns, metadata)


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


def _is_plain(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column was read, and has no bytes, which are images or other things that nobody sorts by."""
    return any(name in row for row in rows) and not any(isinstance(row.get(name), bytes) for row in rows)


def check_unique(names: Sequence[str], where: AnyFile) -> None:
    """Raise InputError naming the first name that occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{where} names {name!r} more than once; each image must be named once")
        seen.add(name)


def read_rows(path: AnyFile) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Return the columns and rows of a CSV, JSON lines or Parquet file; raises InputError."""
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        raise InputError(f"{path} is not a table; give a file ending in {', '.join(MANIFEST_SUFFIXES)}")
    try:
        if suffix == ".parquet":
            return _read_parquet(path)
        return _read_csv(path) if suffix == ".csv" else _read_json_lines(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error


def _read_csv(path: AnyFile) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            columns = tuple(name.strip() for name in next(reader, ()))
            rows = [
                dict(zip(columns, _fields(row, columns, path, reader.line_num), strict=True)) for row in reader if row
            ]
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}, is not valid CSV ({error})") from error
    return columns, rows


def _fields(row: list[str], columns: Sequence[str], path: AnyFile, line: int) -> list[str]:
    if len(row) != len(columns):
        advice = "put a value with a comma in double quotes"
        raise InputError(f"{path}, line {line}, has {len(row)} fields where the header has {len(columns)}; {advice}")
    return row


def _read_json_lines(path: AnyFile) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as file:
        rows = list(_objects(file, path))
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return columns, rows


def _objects(lines: Iterable[str], path: AnyFile) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}, is not valid JSON ({error})") from error
        if not isinstance(row, dict):
            raise InputError(f'{path}, line {number}, is not a JSON object; write {{"file_name": ...}} in each line')
        yield row


def _read_parquet(path: AnyFile) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(path) as raw, pq.ParquetFile(raw) as file:
            columns = tuple(file.schema_arrow.names)
            needed = (*NAME_COLUMNS, LABEL_COLUMN)
            wanted = [one.name for one in file.schema_arrow if one.name in needed or not _holds_bytes(one.type)]
            return columns, file.read(columns=wanted).to_pylist()
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} can't be read as Parquet ({_first_line(error)})") from error


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
    return value if is_url(value) else PurePath(value).as_posix()


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
