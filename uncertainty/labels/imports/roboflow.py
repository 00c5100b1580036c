"""Roboflow's export for classification with several labels: `_classes.csv` beside the images of each part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uncertainty.labels.imports import one_hot
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

FILE = "_classes.csv"


def recognises(source: Source) -> bool:
    """Whether a folder, or each of its folders, has a `_classes.csv`."""
    return source.path.is_dir() and bool(_tables(source.path))


def _tables(folder: Path) -> list[Path]:
    here = folder / FILE
    return [here] if here.is_file() else sorted(folder.glob(f"*/{FILE}"))


def read(source: Source) -> Annotations:
    """Read the tables of the folder or of its parts; names are relative to the folder, and parts are told."""
    rows: list[Annotation] = []
    more: dict[str, dict[str, str | None]] = {}
    asked: dict[str, None] = {}
    for table in _tables(source.path):
        part = table.parent.relative_to(source.path).as_posix()
        found = one_hot.read(Source(table))
        asked |= dict.fromkeys(found.asked or ())
        for row in found.rows:
            names = row.names if part == "." else (f"{part}/{row.names[0]}", *row.names)
            rows.append(replace(row, names=names))
            more |= {} if part == "." else {names[0]: {"split": part}}
    return Annotations(tuple(rows), more=more, asked=tuple(asked))
