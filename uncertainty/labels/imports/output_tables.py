"""Labels in a table of outputs, `table:FILE`, that was screened: its names and labels alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uncertainty.errors import InputError, in_one_line
from uncertainty.images.label_text import of_row
from uncertainty.images.manifests import LABEL_COLUMNS, NAME_COLUMNS, Columns, as_text, posix, read_manifest
from uncertainty.images.table_rows import columns_of, quoted
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_PREFIX = "table:"
_NAMES = (*NAME_COLUMNS, "name", "names", "id", "ids")
_LABELS = (*LABEL_COLUMNS, "labels")
_INCLUSION = "inclusion"


def is_table(path: Path) -> bool:
    """Whether a path is that of a table of outputs, as it was given.

    >>> is_table(Path("table:val.npz?label=y")), is_table(Path("val.csv"))
    (True, False)
    """
    return str(path).startswith(_PREFIX)


def recognises(source: Source) -> bool:
    """Whether it was given as one."""
    return is_table(source.path)


def read(source: Source) -> Annotations:
    """Read the label of each image that has one; InputError for a table without names or labels."""
    text, _, query = str(source.path).removeprefix(_PREFIX).partition("?")
    path, asked = Path(text), dict(pair.partition("=")[::2] for pair in query.split("&"))
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a table of outputs with labels")
    columns = Columns(source.columns.name or asked.get("name"), source.columns.label or asked.get("label"))
    return _arrays(path, columns) if path.suffix.lower() == ".npz" else _table(path, columns)


def _table(path: Path, columns: Columns) -> Annotations:
    there = columns_of(path)
    name, label = columns.name or _usual(_NAMES, there, path), columns.label or _usual(_LABELS, there, path)
    found = read_manifest(path, Columns(name, label))
    extra = {column: cells for column, cells in found.metadata.items() if column.startswith(_INCLUSION)}
    more = {one: {column: cells[row] for column, cells in extra.items()} for row, one in enumerate(found.names)}
    pairs = zip(found.names, found.labels or (), strict=True)
    return Annotations(_rows((one, said) for one, said in pairs), found.notes, more if extra else {})


def _arrays(path: Path, columns: Columns) -> Annotations:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            name, label = (
                columns.name or _usual(_NAMES, arrays.files, path),
                columns.label or _usual(_LABELS, arrays.files, path),
            )
            names, labels = arrays[name], arrays[label]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} can't be read as arrays ({in_one_line(error)})") from error
    if names.ndim != 1 or len(labels) != len(names):
        raise InputError(f"{path} has names of shape {names.shape} and labels of shape {labels.shape}")
    if labels.ndim == 2:
        told: list[Any] = [of_row(row) for row in labels.tolist()]
    else:
        told = [as_text(one.decode("utf-8", "replace") if isinstance(one, bytes) else one) for one in labels.tolist()]
    texts = (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names.tolist())
    return Annotations(_rows((posix(one.strip()), said) for one, said in zip(texts, told, strict=True)))


def _rows(pairs: Any) -> tuple[Annotation, ...]:
    return tuple(Annotation((name,), str(said).strip()) for name, said in pairs if said is not None)


def _usual(usual: tuple[str, ...], there: Any, path: Path) -> str:
    lower = {name.lower(): name for name in reversed(list(there))}
    found = next((lower[name] for name in usual if name in lower), None)
    if found is None:
        raise InputError(f"{path} has no column {usual[-2]}; it has {quoted(list(there)[:20])}")
    return str(found)
