"""A table of outputs in Parquet, read row group by row group: columns of numbers, or of lists of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.packed_text import double
from uncertainty.images.remote import AnyFile, opened
from uncertainty.images.table_rows import plain_values, told

_BUFFER_BYTES = 1 << 20
_CLASSES = b"classes"


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file; the key `classes` of its schema's metadata may hold class names, a list in JSON."""

    path: AnyFile
    columns: tuple[str, ...]
    lists: frozenset[str]
    classes: tuple[str, ...] | None

    @classmethod
    def of(cls, path: AnyFile) -> ParquetFile:
        """Read the schema."""
        with told(path), opened(path) as raw:
            schema = pq.read_schema(raw)
        if (twice := double(schema.names)) is not None:
            raise InputError(f"{path} has two columns {twice!r}; which of them counts? Call one otherwise")
        lists = frozenset(field.name for field in schema if _is_list(_storage(field.type)))
        return cls(path, tuple(schema.names), lists, _classes(schema, path))

    def chunks(self, columns: Sequence[str], start: int, size: int) -> Iterator[dict[str, Any]]:
        """Yield rows as `TableFile` says."""
        with (
            told(self.path),
            opened(self.path) as raw,
            pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file,
        ):
            group, skipped = 0, 0
            while group < file.num_row_groups and skipped + file.metadata.row_group(group).num_rows <= start:
                skipped += file.metadata.row_group(group).num_rows
                group += 1
            groups = list(range(group, file.num_row_groups))
            batches = file.iter_batches(size, row_groups=groups, columns=list(columns)) if groups else iter(())
            for table in _of_size(batches, start - skipped, size):
                yield {name: _cells(table[name].combine_chunks()) for name in columns}


def _of_size(batches: Iterator[pa.RecordBatch], skip: int, size: int) -> Iterator[pa.Table]:
    """Yield tables of so many rows, whatever the batches, leaving out the first `skip` rows."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        rest = batch.slice(min(skip, len(batch)))
        skip -= len(batch) - len(rest)
        waiting.append(rest)
        rows += len(rest)
        if rows >= size:
            whole = pa.Table.from_batches(waiting)
            for at in range(0, rows - size + 1, size):
                yield whole.slice(at, size)
            left = whole.slice(rows // size * size)
            waiting, rows = left.to_batches(), len(left)
    if rows:
        yield pa.Table.from_batches(waiting)


def _cells(column: pa.Array) -> NDArray[Any] | list[Any]:
    array = _array(column)
    return plain_values(column) if array is None else array


def _array(column: pa.Array) -> NDArray[Any] | None:
    """Return (n, …) where a column holds numbers, or lists of numbers that are all of one length; else None."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if not _is_list(column.type):
        kind = column.type
        is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        return np.asarray(column.to_numpy(zero_copy_only=False)) if is_number else None
    n = len(column)
    lengths = np.unique(np.asarray(column.value_lengths().fill_null(-1)))
    if column.null_count or len(lengths) != 1 or lengths[0] < 1:
        return None
    inner = _array(column.flatten())
    return None if inner is None else inner.reshape(n, int(lengths[0]), *inner.shape[1:])


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _classes(schema: pa.Schema, path: AnyFile) -> tuple[str, ...] | None:
    told_classes = (schema.metadata or {}).get(_CLASSES)
    if told_classes is None:
        return None
    try:
        return tuple(str(name) for name in json.loads(told_classes))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} has metadata 'classes' that are no list in JSON; write json.dumps(classes)"
        ) from error
