"""One label an image, by its file name, whatever the labels were written with."""

from __future__ import annotations

from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.images.sources import AnyPath
from uncertainty.labels.imports import read_annotations


def read_labels(path: AnyPath) -> dict[str, str]:
    """Return label by file name: of a table, class folders, a Label Studio or a CVAT export, see `read_annotations`.

    An image of class folders stands there under each name that it may have had. Rows without a label are left out;
    integer labels become strings.

    Raises InputError: no `label` column (the columns found are quoted), no label at all, or one name with two labels.
    """
    source = Path(path)
    rows = read_annotations(source).rows
    labels: dict[str, str] = {}
    for row in rows:
        name, label = row.names[0], row.label
        if labels.setdefault(name, label) != label:
            raise InputError(f"{source} gives {name!r} two labels, {labels[name]!r} and {label!r}; keep one")
    short = {name: row.label for row in rows for name in row.names[1:]}
    return short | labels
