"""With which chance each image was chosen for labelling, where the labels say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uncertainty.checks.csv_cells import uncelled
from uncertainty.errors import InputError
from uncertainty.images.manifests import USUAL, Columns, Manifest, read_manifest
from uncertainty.labels.imports import read_annotations, tables
from uncertainty.labels.imports.formats import format_of

INCLUSION, RANKED_INCLUSION = "inclusion", "inclusion_probability"
"""Columns of labels that are looked for unless another is named; the second is what `uncertainty rank` writes."""


def read_inclusion(labels: Path, column: str = INCLUSION, columns: Columns = USUAL) -> dict[str, float] | None:
    """Return the chance of each image to be labelled, by file name; None where the labels have no such column.

    Where `inclusion` is looked for, `inclusion_probability` does as well, but for a list that was not drawn at all.
    Raises InputError: a column that was asked for is absent, a cell is no number, or one name has two of them.
    """
    if format_of(labels, columns) is tables:
        return inclusion(read_manifest(labels, columns), {}, labels, column)
    return inclusion(None, read_annotations(labels, columns).more, labels, column)


def inclusion(
    table: Manifest | None, more: Mapping[str, Mapping[str, str | None]], labels: Path, column: str = INCLUSION
) -> dict[str, float] | None:
    """Return what `read_inclusion` does, of labels that were read: a table, or what Label Studio's tasks carry."""
    cells = _cells(table, more, column)
    if column == INCLUSION and not cells:
        ranked = _cells(table, more, RANKED_INCLUSION)
        cells = ranked if any(_below_one(cell) for _, cell in ranked) else []
    if not cells:
        if column != INCLUSION:
            raise InputError(f"{labels} has no column {column!r} with the chance of each image to be labelled")
        return None
    chances: dict[str, float] = {}
    for name, cell in cells:
        if cell is not None and chances.setdefault(name, _number(cell, name, labels)) != _number(cell, name, labels):
            raise InputError(f"{labels} gives {name!r} two chances, {chances[name]:g} and {cell}; keep one")
    return chances


def _cells(
    table: Manifest | None, more: Mapping[str, Mapping[str, str | None]], column: str
) -> list[tuple[str, str | None]]:
    """Return (file name, cell) of a column; [] where it is absent."""
    if table is not None:
        cells = list(zip(table.names, table.metadata.get(column, ()), strict=False))
        return [*cells, *((bare, cell) for name, cell in cells if (bare := uncelled(name)) != name)]
    return [(name, values.get(column)) for name, values in more.items()] if _has(more, column) else []


def _has(more: Mapping[str, Mapping[str, str | None]], column: str) -> bool:
    return any(values.get(column) is not None for values in more.values())


def _below_one(cell: str | None) -> bool:
    try:
        return cell is not None and float(cell) < 1
    except ValueError:
        return True


def _number(cell: str, name: str, labels: Path) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(
            f"{labels} has {cell!r} as the inclusion of {name!r}; it must be a number in (0, 1]"
        ) from error
