"""One label an image, by its file name, whatever the labels were written with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.images.sources import AnyPath
from uncertainty.labels.imports import read_annotations
from uncertainty.labels.label_sets import ResolvedSets, understand
from uncertainty.labels.meaning import NO_KNOWN_CLASS, NO_TRUTH
from uncertainty.outputs import Task

logger = logging.getLogger("uncertainty")


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
    short: dict[str, str | None] = {}
    for name, label in ((name, row.label) for row in rows for name in row.names[1:]):
        short[name] = label if short.get(name, label) == label else None  # of two images: of neither
    return {name: label for name, label in short.items() if label is not None} | labels


def truths(labels: Mapping[str, str], classes: Sequence[str], task: Task = "multiclass") -> dict[str, str]:
    """Return label by file name as class names; those that are no truth are left out, and logged.

    >>> truths({"a.jpg": "Cat", "b.jpg": "1"}, ["cat", "dog"])
    {'a.jpg': 'cat'}
    >>> truths({"a.jpg": "Dog;cat", "b.jpg": ";", "c.jpg": "?cat;?dog"}, ["cat", "dog"], "multilabel")
    {'a.jpg': 'cat;dog', 'b.jpg': '(no label)'}
    """
    found = understand(list(labels.values()), classes, task)
    for note in found.notes:
        logger.warning("%s", note)
    if isinstance(found, ResolvedSets):
        sets = zip(labels, found.texts(classes), strict=True)
        return {name: text for name, text in sets if text is not None}
    pairs = zip(labels, found.positions.tolist(), strict=True)
    return {name: classes[k] if k >= 0 else NO_KNOWN_CLASS for name, k in pairs if k != NO_TRUTH}
