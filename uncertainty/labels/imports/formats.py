"""Labels as people and their tools write them: found by what a file holds, one module a format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.imports import (
    coco,
    cvat,
    fiftyone,
    fiftyone_csv,
    folders,
    ground_truth,
    kaggle,
    label_studio,
    label_studio_rows,
    one_hot,
    output_tables,
    roboflow,
    tables,
    vertex,
    voc,
)
from uncertainty.labels.imports.base import Annotations
from uncertainty.labels.imports.several_rows import one_each
from uncertainty.labels.imports.source import Source

_METADATA = "metadata.csv"
_FORMATS: tuple[Any, ...] = (
    *(output_tables, cvat, roboflow, voc, fiftyone, fiftyone_csv, folders, coco, label_studio_rows, label_studio),
    *(ground_truth, vertex, kaggle, one_hot, tables),
)
"""The first that knows a source reads it; each module has `recognises(source)` and `read(source)`."""


def read_annotations(path: Path, columns: Columns = USUAL) -> Annotations:
    """Read every answer of a file or folder of labels, contradictions and all.

    `path` is one of: a table with `file_name`, `label` and optional `annotator`, or with a column of zeros and ones for
    each class, or as competitions write them (`Image_Label`, tags); a folder of class folders, or one with metadata; a
    file with images and labels inside (Parquet, tar, npz); an export of Label Studio (JSON, JSON-MIN, CSV), CVAT (its
    images XML 1.1, or a zip), FiftyOne (labels.json, labels.csv), COCO, Roboflow or PASCAL VOC (its ImageSets); a
    manifest of SageMaker Ground Truth; an import file of Vertex AI; `table:FILE`, a table of outputs. `columns` say
    what columns are called where they are called otherwise, and `several` that rows which name an image again give it
    one more label.

    Raises InputError: nothing there, no labels in it, or a file that is not what its ending says.
    """
    path = table_of_answers(path, columns)
    kind = format_of(path, columns)
    found: Annotations = kind.read(Source(path, columns))
    found = one_each(found) if columns.several and kind is not folders else found
    if not any(row.label for row in found.rows):
        raise InputError(f"{path} labels no image; export it once some are labelled")
    return found


def format_of(path: Path, columns: Columns = USUAL) -> Any:
    """Return the module that reads a file or folder of labels; InputError where there is nothing."""
    if not path.exists() and not output_tables.is_table(path):
        raise InputError(f"{path} does not exist; give a table with the columns file_name and label")
    source = Source(path, columns)
    return next(one for one in _FORMATS if one.recognises(source))


def table_of_answers(path: Path, columns: Columns = USUAL) -> Path:
    """Return the metadata.csv of a folder where it has a column of zeros and ones for each class; else the path."""
    table = path / _METADATA
    return table if table.is_file() and one_hot.recognises(Source(table, columns)) else path
