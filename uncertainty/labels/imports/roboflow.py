"""Roboflow's export for classification with several labels: `_classes.csv` beside the images of each part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.labels.imports import one_hot
from uncertainty.labels.imports.base import Annotations
from uncertainty.labels.imports.source import Source

FILE = "_classes.csv"


def recognises(source: Source) -> bool:
    """Whether a folder, or each of its folders, has a `_classes.csv`."""
    return source.path.is_dir() and bool(_tables(source.path))


def _tables(folder: Path) -> list[Path]:
    here = folder / FILE
    return [here] if here.is_file() else sorted(folder.glob(f"*/{FILE}"))


def read(source: Source) -> Annotations:
    """Read the tables of the folder or of its parts; names are relative to the folder.

    Raises InputError where there are several parts and none of them is asked for.
    """
    tables = _tables(source.path)
    parts = {table.parent.name: table for table in tables}
    if len(tables) > 1 and source.columns.split not in parts:
        raise InputError(
            f"{source.path} holds the parts {', '.join(parts)} of a data set; give one, or say which with --split"
        )
    table = parts[source.columns.split] if len(tables) > 1 and source.columns.split else tables[0]
    found = one_hot.read(Source(table))
    below = table.parent.relative_to(source.path).as_posix()
    if below == ".":
        return found
    rows = tuple(replace(row, names=(f"{below}/{row.names[0]}", *row.names)) for row in found.rows)
    return replace(found, rows=rows)
