"""Tables with a column of zeros and ones (or False and True) for each class, such as Roboflow's `_classes.csv`."""

from __future__ import annotations

from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.label_text import of_answers
from uncertainty.images.manifests import NAME_COLUMNS
from uncertainty.images.table_rows import rows_of, told
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_ANSWERS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_UNANSWERED = ("", "-1", "-1.0", "nan", "na", "n/a", "<na>", "null", "none", "?")
_FEWEST, _MOSTLY = 2, 0.9
_WRITE = "write 1 if it has the label, 0 if not, nothing or -1 where nobody knows"


def recognises(source: Source) -> bool:
    """Whether columns that were asked for with commas between are there; or all but that of the names hold answers.

    Those are zeros, ones and cells for an unknown answer, two columns at least, and none is the label.
    """
    if asked_columns(source):
        return True
    if source.columns.label is not None or len(source.header) <= _FEWEST:
        return False
    name = _name_column(source)
    rows = [row for row in source.first_rows[1:-1] or source.first_rows[1:] if len(row) == len(source.header)]
    cells = [cell.lower() for row in rows for column, cell in zip(source.header, row, strict=True) if column != name]
    answers = any(cell in _ANSWERS for cell in cells)
    return name is not None and answers and all(cell in _ANSWERS or cell in _UNANSWERED for cell in cells)


def stray(source: Source) -> str:
    """Say which cell keeps a table from being one of answers; "" where it is none, or all its cells are answers.

    It is one that was meant so where two columns at least hold zeros, ones and unknown answers but for one cell in ten.
    """
    name = _name_column(source)
    rows = [row for row in source.first_rows[1:] if len(row) == len(source.header)]
    met = {
        column: [row[k].lower() in _ANSWERS or row[k].lower() in _UNANSWERED for row in rows]
        for k, column in enumerate(source.header)
        if column not in (name, "")
    }
    likely = {column: fits for column, fits in met.items() if rows and sum(fits) >= _MOSTLY * len(rows)}
    odd = [(fits.index(False), column) for column, fits in likely.items() if not all(fits)]
    if len(likely) < _FEWEST or not odd:
        return ""
    row, column = min(odd)
    cell = rows[row][source.header.index(column)]
    return f"row {row + 1} has {cell!r} in the column {column!r}, where others are zeros and ones: {_WRITE}"


def asked_columns(source: Source) -> tuple[str, ...]:
    """Return the columns of classes that were asked for, `cat,dog` where no column is called so; () for none."""
    named = [one.strip() for one in (source.columns.label or "").split(",")]
    there = len(named) > 1 and source.columns.label not in source.header and set(named) <= set(source.header)
    return tuple(named) if there else ()


def _name_column(source: Source) -> str | None:
    if source.columns.name is not None:
        return source.columns.name
    lower = {column.lower(): column for column in source.header}
    return next((lower[name] for name in (*NAME_COLUMNS, "image_id", "id") if name in lower), None)


def read(source: Source) -> Annotations:
    """Read for each image the names of the columns that are 1; those that are empty, NaN or -1 nobody answered.

    An image without any answer is left out and counted. Raises InputError for another cell, and where no column holds
    file names.
    """
    column, wanted = _name_column(source), asked_columns(source)
    if column is None:
        raise InputError(f"{source.path} has no column file_name beside its classes; say which with --name-column")
    rows, without, asked = [], 0, tuple(wanted or (name for name in source.header if name and name != column))
    with told(source.path):
        for i, row in enumerate(rows_of(source.path)):
            answers = [_answer(row[name], name, i, source.path) for name in asked]
            label = of_answers(asked, answers)
            without += label is None
            rows += [] if label is None else [Annotation((str(row[column]).strip(),), label)]
    told_of = number_of(without, "image has no answer and is", "images have no answer and are")
    notes = (f"{told_of} left out",) if without else ()
    return Annotations(tuple(rows), notes, asked=asked)


def _answer(cell: str, column: str, row: int, path: Path) -> int | None:
    text = str(cell).strip().lower()
    if text in _UNANSWERED:
        return None
    if text not in _ANSWERS:
        raise InputError(
            f"{path}, row {row + 1}, has {cell!r} in the column {column!r}, among zeros and ones: {_WRITE}"
        )
    return _ANSWERS[text]
