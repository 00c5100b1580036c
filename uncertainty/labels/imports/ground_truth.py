"""Manifests of SageMaker Ground Truth and Rekognition: an object a line, with `source-ref` and `<job>-metadata`."""

from __future__ import annotations

from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.labels.imports.addresses import at_address
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_METADATA = "-metadata"


def recognises(source: Source) -> bool:
    """Whether the first line has a `source-ref`."""
    return "source-ref" in source.first_line


def read(source: Source) -> Annotations:
    """Read the class names that the metadata of a job give; several jobs of one line, one a label, are joined."""
    rows: list[Annotation] = []
    without = 0
    for line in source.lines():
        address = line.get("source-ref")
        if not isinstance(address, str):
            raise InputError(f"{source.path} has a line without the text source-ref")
        told = [_labels(line, job) for job in line if job.endswith(_METADATA)]
        answered = [labels for labels in told if labels is not None]
        without += not answered
        if answered:
            rows.append(at_address(address, joined(label for labels in answered for label in labels)))
    notes = (f"{without} lines have no label and are left out",) if without else ()
    return Annotations(tuple(rows), notes)


def _labels(line: dict[str, Any], job: str) -> list[str] | None:
    """Return what one job says, [] for none of its labels; None where it says nothing."""
    told = line[job]
    if not isinstance(told, dict) or "classification" not in str(told.get("type", "classification")):
        return None
    if isinstance(told.get("class-map"), dict):
        given = line.get(job.removesuffix(_METADATA))
        return [str(told["class-map"].get(str(k), k)) for k in given] if isinstance(given, list) else None
    return [str(told["class-name"])] if "class-name" in told else None
