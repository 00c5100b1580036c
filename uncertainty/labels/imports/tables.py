"""Labels in a table: `file_name`, `label`, and `annotator` where several people answered."""

from __future__ import annotations

from uncertainty.checks.csv_cells import uncelled
from uncertainty.errors import InputError
from uncertainty.images.manifests import LABEL_COLUMN, quoted, read_manifest
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.one_hot import stray
from uncertainty.labels.imports.source import Source

ANNOTATOR_COLUMN = "annotator"


def recognises(source: Source) -> bool:
    """Whatever is left is a table, or refused as one."""
    return True


def read(source: Source) -> Annotations:
    """Read a CSV, JSON lines or Parquet file; rows without a label are left out, integer labels become text.

    Raises InputError: no `label` column (the columns found are quoted), or no label at all.
    """
    path, manifest = source.path, read_manifest(source.path, source.columns)
    if manifest.labels is None:
        raise InputError(no_labels(source, f"it has {quoted(manifest.columns)}"))
    people = manifest.metadata.get(ANNOTATOR_COLUMN, (None,) * len(manifest.names))
    rows = tuple(
        # Our own CSV files put an apostrophe before what a spreadsheet would run.
        Annotation(tuple(dict.fromkeys((name, uncelled(name)))), uncelled(str(label)), uncelled(person or ""))
        for name, label, person in zip(manifest.names, manifest.labels, people, strict=True)
        if label is not None
    )
    if not rows:
        raise InputError(f"{path} names {len(manifest.names)} images and labels none of them")
    return Annotations(rows, manifest.notes, table=manifest)


def no_labels(source: Source, found: str) -> str:
    """Say that a table has no labels, by what was found in it, or by the one cell that hides its answers."""
    if cell := stray(source):
        classes = "or name the columns of classes with --label-column cat,dog"
        return f"{source.path} has no column {LABEL_COLUMN}, and {cell}, {classes}"
    return f"{source.path} has no column {LABEL_COLUMN}; {found}; say which with --label-column"
