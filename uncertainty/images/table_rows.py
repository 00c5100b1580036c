"""Rows of tables, CSV, JSON lines or Parquet, a few in memory at a time; what is wrong with a table is told by name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.remote import AnyFile, opened

MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
_ROWS_AT_ONCE = 4096
_SHOWN = 60
_OTHER_SIGNS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_BUFFER_BYTES = 1 << 20


@contextmanager
def told(path: AnyFile) -> Iterator[None]:
    """Turn what reading raises into an InputError that names the file."""
    import pyarrow as pa

    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} can't be read as Parquet ({first_line(error)})") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or first_line(error)})") from error


def columns_of(path: AnyFile) -> tuple[str, ...]:
    """Return the names of the columns; of JSON lines those of all rows."""
    suffix = path.suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        raise InputError(f"{path} is not a table; give a file ending in {', '.join(MANIFEST_SUFFIXES)}")
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with opened(path) as raw:
            return _each_once(tuple(pq.read_schema(raw).names), path)
    if suffix == ".csv":
        with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
            return _header(csv.reader(file, strict=True), path)
    return tuple(dict.fromkeys(key for row in _json_lines(path) for key in row))


def rows_of(path: AnyFile, needed: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield rows by column; of a Parquet file those columns that hold no bytes, and the `needed` ones."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_rows(path, needed)
    return _csv_rows(path) if suffix == ".csv" else _json_lines(path)


def _header(reader: Any, path: AnyFile) -> tuple[str, ...]:
    try:
        columns = tuple(name.strip() for name in next(reader, ()))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}, is not valid CSV ({error})") from error
    if len(columns) == 1 and (sign := next((sign for sign in _OTHER_SIGNS if sign in columns[0]), None)):
        raise InputError(f"{path} is separated by {_OTHER_SIGNS[sign]}; save it with commas")
    return _each_once(columns, path)


def _each_once(columns: tuple[str, ...], path: AnyFile) -> tuple[str, ...]:
    if twice := next((name for name in columns if name and columns.count(name) > 1), None):
        raise InputError(f"{path} has two columns {twice!r}; which of them counts? Call one otherwise")
    return columns


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
                row = json.loads(line, object_pairs_hook=_object)
            except InputError as error:
                raise InputError(f"{path}, line {number}, {error}") from error
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}, is not valid JSON ({error})") from error
            if not isinstance(row, dict):
                advice = 'write {"file_name": ...} in each line'
                raise InputError(f"{path}, line {number}, is not a JSON object; {advice}")
            yield row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON; a key that stands there twice has two values, and json would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InputError(f"has the key {next(key for key in keys if keys.count(key) > 1)!r} twice; keep one")
    for key in found:
        if not key.isascii() and any("\ud800" <= sign <= "\udfff" for sign in key):
            raise InputError(f"has the key {key!r}, which is not valid Unicode")
    return found


def _parquet_rows(path: AnyFile, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with opened(path) as raw, pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
        wanted = [one.name for one in file.schema_arrow if one.name in needed or not _holds_bytes(one.type)]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
            columns = [plain_values(column) for column in batch.columns]
            yield from (dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True))


def plain_values(column: Any) -> list[Any]:
    """Return a column as Python values; times and spans, some of which Python has no type for, as text."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_temporal(kind):
        try:
            column = column.cast(kind).cast(pa.int64() if pa.types.is_duration(kind) else pa.string())
        except pa.ArrowException:  # a time zone that nobody knows
            column = pa.nulls(len(column))
    return list(column.to_pylist())


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_kind(kind) for is_kind in (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary))


def shown(value: Any) -> str:
    """Write a value for an error message, of a long one the beginning.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    """
    text = repr(value[:_SHOWN]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def quoted(columns: Sequence[str]) -> str:
    """Write column names for an error message."""
    return ", ".join(repr(name) for name in columns) or "no columns"


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return str(error).partition("\n")[0]
