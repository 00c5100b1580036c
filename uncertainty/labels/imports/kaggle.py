"""Tables as competitions give them out: one row for image and label together, or tags separated by spaces."""

from __future__ import annotations

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.images.table_rows import rows_of, told
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

LONG = "Image_Label"
TAGS = "tags"


def recognises(source: Source) -> bool:
    """Whether there is a column `Image_Label`, or `tags` beside a name."""
    header = [name.lower() for name in source.header]
    return source.columns.label is None and (LONG.lower() in header or (TAGS in header and len(header) == 2))


def read(source: Source) -> Annotations:
    """Read `a.jpg_Fish` with a cell that is not empty as the label Fish of a.jpg, or tags as several labels."""
    lower = {name.lower(): name for name in source.header}
    with told(source.path):
        table = [{key: cell.strip() for key, cell in row.items()} for row in rows_of(source.path)]
    if LONG.lower() in lower:
        return _long(source, table, lower[LONG.lower()])
    tags = lower[TAGS]
    name = next(column for column in source.header if column != tags)
    rows = (Annotation((row[name],), joined(row[tags].split())) for row in table)
    return Annotations(tuple(rows))


def _long(source: Source, table: list[dict[str, str]], column: str) -> Annotations:
    others = [name for name in source.header if name != column]
    labels: dict[str, list[str]] = {}
    for i, row in enumerate(table):
        name, _, label = row[column].rpartition("_")
        if not name or not label:
            raise InputError(f"{source.path}, row {i + 1}, has {row[column]!r}; it must be name_label")
        given = labels.setdefault(name, [])
        if any(row[other] for other in others) or not others:
            given.append(label)
    return Annotations(tuple(Annotation((name,), joined(given)) for name, given in labels.items()))
