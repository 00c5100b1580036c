"""FiftyOne's CSV data sets: `labels.csv` with the fields that were chosen, beside `data/`."""

from __future__ import annotations

from pathlib import PurePosixPath

from uncertainty.errors import InputError
from uncertainty.images.manifests import LABEL_COLUMN
from uncertainty.images.table_rows import quoted, rows_of, told
from uncertainty.labels.imports.addresses import at_address
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

FILE, MEDIA = "labels.csv", "filepath"
_FIELD, _SEVERAL = ".label", ".classifications.label"


def recognises(source: Source) -> bool:
    """Whether a CSV has `filepath` and the label of a field, such as `ground_truth.label`; or a folder such a file."""
    if source.path.is_dir():
        inside = source.path / FILE
        return inside.is_file() and recognises(Source(inside, source.columns))
    return MEDIA in source.header and bool(_fields(source.header))


def _fields(header: list[str]) -> list[str]:
    return [name for name in header if name.endswith(_FIELD)]


def read(source: Source) -> Annotations:
    """Read one label of each image, or of a field of several the names that commas separate; empty cells are left out.

    Names are relative to `data/`, or absolute paths. Raises InputError where several fields may be meant.
    """
    table = Source(source.path / FILE, source.columns) if source.path.is_dir() else source
    column, rows, without = _column(table), [], 0
    with told(table.path):
        for row in rows_of(table.path):
            label = row[column].strip()
            label = label.replace(",", ";") if column.endswith(_SEVERAL) else label
            without += not label
            rows += [_annotation(row[MEDIA].strip(), label)] if label else []
    notes = (f"{without} images have no label and are left out",) if without else ()
    return Annotations(tuple(rows), notes)


def _column(source: Source) -> str:
    asked, header = source.columns.label, source.header
    if asked is None:
        fields = _fields(header) if LABEL_COLUMN not in header else [LABEL_COLUMN]
        if len(fields) == 1:
            return fields[0]
        raise InputError(f"{source.path} has the labels {quoted(fields)}; say which with --label-column")
    if asked not in header:
        raise InputError(f"{source.path} has no column {asked!r}; it has {quoted(header)}")
    return asked


def _annotation(path: str, label: str) -> Annotation:
    return at_address(path, label) if PurePosixPath(path).is_absolute() else Annotation((f"data/{path}", path), label)
