"""Tables with a column of zeros and ones (or False and True) for each class, such as Roboflow's `_classes.csv`."""

from __future__ import annotations

from uncertainty.errors import InputError
from uncertainty.images.manifests import NAME_COLUMNS
from uncertainty.images.table_rows import rows_of, told
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_ZERO, _ONE = ("0", "0.0", "", "False", "false"), ("1", "1.0", "True", "true")
_FEWEST = 2


def recognises(source: Source) -> bool:
    """Whether all columns but that of the names hold zeros and ones, two at least, and none is the label."""
    if source.columns.label is not None or len(source.header) <= _FEWEST:
        return False
    name = _name_column(source)
    rows = [row for row in source.first_rows[1:-1] or source.first_rows[1:] if len(row) == len(source.header)]
    cells = [cell for row in rows for column, cell in zip(source.header, row, strict=True) if column != name]
    return name is not None and bool(cells) and all(cell in (*_ZERO, *_ONE) for cell in cells)


def _name_column(source: Source) -> str | None:
    if source.columns.name is not None:
        return source.columns.name
    lower = {column.lower(): column for column in source.header}
    return next((lower[name] for name in (*NAME_COLUMNS, "image_id", "id") if name in lower), None)


def read(source: Source) -> Annotations:
    """Read for each image the names of the columns that are 1; an image with none has the label "".

    Raises InputError for a cell that is neither 0 nor 1.
    """
    column = _name_column(source) or ""
    rows = []
    with told(source.path):
        for i, row in enumerate(rows_of(source.path)):
            cells = {name: cell.strip() for name, cell in row.items() if name != column}
            if odd := next((cell for cell in cells.values() if cell not in (*_ZERO, *_ONE)), None):
                raise InputError(f"{source.path}, row {i + 1}, has {odd!r} among zeros and ones")
            label = ";".join(name for name, cell in cells.items() if cell in _ONE)
            rows.append(Annotation((str(row[column]).strip(),), label))
    return Annotations(tuple(rows))
