"""Labels as Label Studio exports them flat: CSV, or JSON-MIN, one row an annotation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.images.manifests import as_text
from uncertainty.images.table_rows import quoted, rows_of, told
from uncertainty.labels.imports.addresses import at_address
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.label_studio import CONTROL
from uncertainty.labels.imports.source import Source

_OWN = {"annotation_id", "annotator", "created_at", "id", "lead_time", "updated_at"}
_SURE = {"annotation_id", "lead_time"}


def recognises(source: Source) -> bool:
    """Whether a CSV has Label Studio's own columns, or a JSON list of objects has them as keys."""
    if source.suffix == ".csv":
        return set(source.header) >= _SURE
    if source.suffix != ".json" or not isinstance(source.json, list) or not source.json:
        return False
    first = source.json[0]
    return isinstance(first, dict) and "data" not in first and "annotation_id" in first


def read(source: Source) -> Annotations:
    """Read the choice of each row: the column `choice`, the one asked for, or the only one that it can be.

    An image is known by `file_name`, which our export writes; without it by its address. An annotation without a
    choice says that the image has none of the labels; rows without an annotation are left out and counted.
    """
    table = _table(source)
    column = _choice_column(source, table)
    rows, empty = [], 0
    more: dict[str, dict[str, str | None]] = {}
    for number, row in enumerate(table, start=1):
        submitted = as_text(row.get("annotation_id")) is not None
        label = joined(chosen) if (chosen := _choices(row.get(column))) or submitted else ""
        empty += not label
        if label:
            rows.append(_annotation(row, label, source, number, column))
            more[rows[-1].names[0]] = {k: as_text(v) for k, v in row.items() if k not in {*_OWN, column}}
    notes = (f"{empty} rows hold no annotation; they are left out",) if empty else ()
    return Annotations(tuple(rows), notes, more)


def _table(source: Source) -> list[dict[str, Any]]:
    if source.suffix == ".csv":
        with told(source.path):
            return [{key: cell.strip() for key, cell in row.items()} for row in rows_of(source.path)]
    if not all(isinstance(row, dict) for row in source.json):
        raise InputError(f"{source.path} is not an export of Label Studio: it must be a list of objects")
    return list(source.json)


def _choice_column(source: Source, table: Sequence[Mapping[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in table for key in row))
    if (asked := source.columns.label) is not None:
        if asked not in keys:
            raise InputError(f"{source.path} has no column {asked!r}; it has {quoted(keys)}")
        return asked
    if CONTROL in keys:
        return CONTROL
    sure = [key for key in keys if any(isinstance(row.get(key), dict) for row in table)]
    likely = sure or [
        key for key in keys if key not in {*_OWN, "file_name", "image"} and not _are_addresses(table, key)
    ]
    if len(likely) != 1:
        raise InputError(f"{source.path} has the columns {quoted(keys)}; say which are the labels with --label-column")
    return likely[0]


def _are_addresses(table: Sequence[Mapping[str, Any]], key: str) -> bool:
    return all("/" in str(row.get(key, "/")) for row in table)


def _choices(cell: Any) -> list[str]:
    if isinstance(cell, str) and cell[:1] in ("{", "["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return [cell]
    cell = cell.get("choices") if isinstance(cell, dict) else cell
    if isinstance(cell, list):
        return [str(one) for one in cell]
    return [] if cell is None or cell == "" else [str(cell)]


def _annotation(row: Mapping[str, Any], label: str, source: Source, number: int, column: str) -> Annotation:
    person = as_text(row.get("annotator")) or ""
    if isinstance(name := row.get("file_name"), str) and name:
        return Annotation((name,), label, person)
    for key in ("image", *(key for key in row if key not in {*_OWN, column})):
        if isinstance(address := row.get(key), str) and "/" in address:
            return at_address(address, label, person)
    raise InputError(f"{source.path}, row {number}, has neither file_name nor the address of an image")
