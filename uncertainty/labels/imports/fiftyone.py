"""FiftyOne's image classification data sets: `labels.json` beside `data/`."""

from __future__ import annotations

from typing import Any

from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.label_text import joined
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

FILE = "labels.json"


def recognises(source: Source) -> bool:
    """Whether a JSON file has `classes` and `labels`, or a folder such a labels.json."""
    if source.path.is_dir():
        inside = source.path / FILE
        return inside.is_file() and recognises(Source(inside))
    return source.suffix == ".json" and isinstance(source.json, dict) and isinstance(source.json.get("labels"), dict)


def read(source: Source) -> Annotations:
    """Read the label, or several, of each image, whose names have no ending; null is no
    answer and left out, an empty list none of the labels.

    Labels are names, positions in `classes`, or objects with a `label`.
    """
    content = (Source(source.path / FILE) if source.path.is_dir() else source).json
    classes = content.get("classes")
    classes = [str(name) for name in classes] if isinstance(classes, list) else []
    rows, without = [], 0
    for name, told in content["labels"].items():
        several = told if isinstance(told, list) else [told]
        labels = [_label(one, classes, source) for one in several if one is not None]
        without += told is None
        if told is not None:
            rows.append(Annotation((f"data/{name}", name), joined(labels)))
    notes = (number_of(without, "image has no label", "images have no label") + ", left out",) if without else ()
    return Annotations(tuple(rows), notes)


def _label(told: Any, classes: list[str], source: Source) -> str:
    value = told.get("label") if isinstance(told, dict) else told
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{source.path} has the label {str(told)[:60]!r}; it must be a name or a position")
    return classes[value] if isinstance(value, int) and 0 <= value < len(classes) else str(value)
