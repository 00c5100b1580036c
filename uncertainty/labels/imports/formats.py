"""Labels as people and their tools write them: tables, class folders, Label Studio and CVAT."""

from __future__ import annotations

from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.labels.imports import cvat, folders, label_studio, tables
from uncertainty.labels.imports.base import Annotations


def read_annotations(path: Path) -> Annotations:
    """Read every answer of a file or folder of labels, contradictions and all.

    `path` is one of: a table with `file_name`, `label` and optional `annotator`; a folder of class folders, or one with
    metadata; a Label Studio export (.json); CVAT's images XML 1.1 (.xml), or a zip with that or with class folders or
    an ImageNet list inside.

    Raises InputError: nothing there, no labels in it, or a file that is not what its ending says.
    """
    if path.is_dir():
        inside = path / cvat.XML_NAME
        return cvat.read(inside) if inside.is_file() else folders.read(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give a table with the columns file_name and label")
    readers = {".json": label_studio.read, ".xml": cvat.read, ".zip": cvat.read_zip}
    return readers.get(path.suffix.lower(), tables.read)(path)
