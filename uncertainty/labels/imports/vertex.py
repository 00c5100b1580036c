"""Import files of Vertex AI and AutoML: JSON lines with `imageGcsUri`, or a CSV without a header."""

from __future__ import annotations

from typing import Any

from uncertainty.figures import number_of
from uncertainty.images.remote import is_url
from uncertainty.images.table_rows import told
from uncertainty.labels.imports.addresses import at_address
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_PARTS = ("train", "validation", "test", "unassigned", "training")
_PART = "aiplatform.googleapis.com/ml_use"


def recognises(source: Source) -> bool:
    """Whether the first line has an `imageGcsUri`, or the first row of a CSV is an address and not a header."""
    if source.suffix != ".csv":
        return "imageGcsUri" in source.first_line
    cells = source.header[1:] if source.header[:1] and source.header[0].lower() in _PARTS else source.header
    return bool(cells) and is_url(cells[0])


def read(source: Source) -> Annotations:
    """Read one row an image: its part of the data set, its address and its labels; without labels it is left out."""
    found = _of_csv(source) if source.suffix == ".csv" else [_of_line(line) for line in source.lines()]
    rows: list[Annotation] = []
    more: dict[str, dict[str, str | None]] = {}
    for part, address, labels in found:
        row = at_address(address, ";".join(labels))
        more[row.names[0]] = {"split": part or None}
        rows += [row] * bool(labels)
    without = len(found) - len(rows)
    notes = (number_of(without, "image has no label", "images have no label") + ", left out",) if without else ()
    return Annotations(tuple(rows), notes, more)


def _of_csv(source: Source) -> list[tuple[str, str, list[str]]]:
    import csv

    found = []
    with told(source.path), open(source.path, encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            cells = [cell.strip() for cell in row if cell.strip()]
            part = cells.pop(0).lower() if cells and cells[0].lower() in _PARTS else ""
            if cells:
                found.append((part, cells[0], cells[1:]))
    return found


def _of_line(line: dict[str, Any]) -> tuple[str, str, list[str]]:
    one, several = line.get("classificationAnnotation"), line.get("classificationAnnotations")
    given = [*(several if isinstance(several, list) else []), *([one] if isinstance(one, dict) else [])]
    labels = [str(told["displayName"]) for told in given if isinstance(told, dict) and "displayName" in told]
    resource = line.get("dataItemResourceLabels")
    part = resource.get(_PART, "") if isinstance(resource, dict) else ""
    return str(part), str(line.get("imageGcsUri", "")), labels
