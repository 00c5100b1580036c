"""Parquet files with encoded images inside, as Hugging Face data sets are published; read a few rows at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.image_set import Inside
from uncertainty.images.in_memory import label_of
from uncertainty.images.label_text import joined
from uncertainty.images.manifests import LABEL_COLUMN, Label
from uncertainty.images.packed_text import Coded, Coder, Numbered, Packer, Texts, double
from uncertainty.images.remote import AnyFile, below, opened
from uncertainty.images.several_files import SeveralFiles
from uncertainty.images.table_rows import first_line, plain_values, shown

_IMAGE_COLUMNS = ("img", "image")
_BATCH_ROWS = 64
_NAMES_AT_ONCE = 4096
# With a buffer a column is read through a window; without one, a whole row group at a time.
_BUFFER_BYTES = 1 << 20


SUFFIXES = (".parquet",)


def holds_images(path: AnyFile) -> bool:
    """Whether a file has a column `img` or `image` of struct<bytes, path> or of bytes; InputError if it is damaged."""
    with _opened(path) as file:
        return _image_column(file.schema_arrow) is not None


def read(paths: Sequence[AnyFile]) -> Inside:
    """Return names, labels, class names and a reader of the bytes.

    Names are the `path` fields when every row has one and all differ; otherwise `<file stem>/<row, 7 digits>`. Absolute
    paths, which `datasets` writes, are told from the folder that they share on. Integer labels become class names when
    the file's own description has them, and -1 becomes None.
    """
    contents = [_contents(path) for path in paths]
    described = {shard.class_names for shard in contents}
    if len(described) > 1:
        raise InputError(f"{paths[0].parent} mixes Parquet files with different class names; screen them one by one")
    counts = tuple(shard.count for shard in contents)
    names = _names([path.stem for path in paths], contents)
    labels = None
    if any(shard.labels is not None for shard in contents):
        labels = Coded.of(label for shard in contents for label in shard.labels or repeat(None, shard.count))
    return Inside(names, labels, ShardReader(tuple(paths), counts), contents[0].class_names)


class ShardReader(SeveralFiles):
    """The bytes of images in Parquet files, or the path where a row has only that."""

    def read(self, path: AnyFile, positions: NDArray[np.int64], count: int) -> Iterator[AnyFile | bytes]:
        """Read front to back, skipping row groups without a wanted row."""
        return _read(path, positions, count)


@dataclass(frozen=True)
class _Contents:
    count: int
    paths: Texts[str | None] | None
    labels: Sequence[Label] | None
    class_names: tuple[str, ...] | None


def _contents(path: AnyFile) -> _Contents:
    with _opened(path) as file, _damage(path):
        column = _image_column(file.schema_arrow)
        has_labels = LABEL_COLUMN in file.schema_arrow.names
        class_names = _class_names(file.schema_arrow)
        told = _has_path(file.schema_arrow, column)
        columns = [f"{column}.path"] * told + [LABEL_COLUMN] * has_labels
        paths: Packer[str | None] = Packer()
        labels: Coder[Label] = Coder()
        for batch in file.iter_batches(_NAMES_AT_ONCE, columns=columns) if columns else ():
            for image in batch.column(0).to_pylist() if told else ():
                paths.append(None if image is None else image["path"])
            for value in plain_values(batch.column(LABEL_COLUMN)) if has_labels else ():
                labels.append(_label(value, class_names, path))
        count = int(file.metadata.num_rows)
    return _Contents(count, paths.packed() if told else None, labels.packed() if has_labels else None, class_names)


@contextmanager
def _damage(path: AnyFile) -> Iterator[None]:
    """Name the file where something in the middle of it can't be read."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is damaged ({first_line(error)}); put a whole file in its place and try again"
        ) from error


def _label(value: Any, class_names: tuple[str, ...] | None, path: AnyFile) -> Label:
    if value is None or value == -1:
        return None
    if isinstance(value, list):
        if class_names is None:
            return label_of(value)
        return joined(str(_label(one, class_names, path)) for one in value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{path} has the label {shown(value)}; a label is a class name or an index")
    if class_names is None or isinstance(value, str):
        return value
    if not 0 <= value < len(class_names):
        raise InputError(f"{path} has the label {value} and describes {len(class_names)} classes")
    return class_names[value]


def _class_names(schema: Any) -> tuple[str, ...] | None:
    try:
        kind = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][LABEL_COLUMN]
        return tuple(str(name) for name in kind.get("feature", kind)["names"])  # of a list that of its members
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _names(stems: list[str], contents: list[_Contents]) -> Sequence[str]:
    listed = [shard.paths for shard in contents if shard.paths is not None]
    if len(listed) == len(contents) and all(path for paths in listed for path in paths):
        given = Texts.of(str(path) for paths in listed for path in paths)
        if len(given) and double(given) is None:
            if all(os.path.isabs(path) for path in given):
                shared = os.path.commonpath({os.path.dirname(path) for path in given})
                return Texts.of(os.path.relpath(path, shared) for path in given)
            return Texts.of(path.replace("\\", "/") for path in given) if any("\\" in path for path in given) else given
    if len(set(stems)) == len(stems):
        return Numbered.of(stems, [shard.count for shard in contents])
    return Texts.of(f"{stem}/{i:07d}" for stem, shard in zip(stems, contents, strict=True) for i in range(shard.count))


def _image_column(schema: Any) -> str | None:
    import pyarrow as pa

    for name in _IMAGE_COLUMNS:
        kind = schema.field(name).type if name in schema.names else None
        if kind is None:
            continue
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return name
        if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
            return name
    return None


def _has_path(schema: Any, column: str | None) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(schema.field(column).type))


def _read(path: AnyFile, rows: NDArray[np.int64], count: int) -> Iterator[AnyFile | bytes]:
    with _opened(path) as file, _damage(path):
        if file.metadata.num_rows != count:
            raise InputError(f"{path} had {count} rows and has {file.metadata.num_rows}; it changed meanwhile")
        ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
        groups, wanted = _row_groups(ends, rows)
        start = 0
        batches = file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=[_image_column(file.schema_arrow)])
        for batch in batches:
            low, high = np.searchsorted(wanted, (start, start + batch.num_rows))
            for i in wanted[low:high] - start:
                yield _data(batch.column(0)[int(i)].as_py(), path)
            start += batch.num_rows


def _row_groups(ends: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[list[int], NDArray[np.int64]]:
    """Row groups that hold wanted rows, and those rows counted within these groups alone."""
    group_of = np.searchsorted(ends, rows, side="right")
    groups = np.unique(group_of)
    starts = np.concatenate([[0], ends[:-1]])
    read_before = np.cumsum(ends[groups] - starts[groups]) - (ends[groups] - starts[groups])
    return groups.tolist(), rows - starts[group_of] + read_before[np.searchsorted(groups, group_of)]


def _data(image: dict[str, Any] | bytes | None, path: AnyFile) -> AnyFile | bytes:
    if image is None or isinstance(image, bytes):
        return image or b""
    if image["bytes"] is None and image["path"]:
        return below(path.parent, str(image["path"]))
    return bytes(image["bytes"] or b"")


def _opened(path: AnyFile) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = path if isinstance(path, Path) else opened(path)
        return pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{path} can't be read as Parquet ({reason})") from error
