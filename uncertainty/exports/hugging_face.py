"""Hugging Face imagefolder: the images, and `metadata.parquet` with every column beside them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from uncertainty.errors import InputError
from uncertainty.exports.base import Place, Ranking, Row
from uncertainty.exports.image_files import found, inside, place
from uncertainty.figures import number_of
from uncertainty.verdicts import write_table

METADATA_NAME = "metadata.parquet"
ORIGINAL = "name_in_verdicts"
_MEDIA = ("_file_name", "_file_names")
_SPLITS = "train|training|validation|valid|dev|val|test|testing|eval|evaluation"
# What the library takes for the name of a split, be it of a folder or in the name of a file.
_SPLIT = re.compile(rf"(?<![a-z])({_SPLITS})(?![a-z])", re.IGNORECASE)


def write(
    ranking: Ranking, folder: Path, *, images: Path | None = None, how: Place = "nowhere"
) -> tuple[int, tuple[str, ...]]:
    """Write `metadata.parquet` and the images, copied where nothing else is asked; return images and notes.

    They lie in `train/`, the one split. Where a name holds test, val or another word that the library makes splits of,
    all images are numbered by rank instead. Where names had to change, the column `name_in_verdicts` has those of the
    verdicts. Several labels of an image are a list.
    """
    import pyarrow as pa

    if "image" in ranking.columns:
        raise InputError("the table has a column 'image', which is what the images are called there; rename it")
    inner, name_of = folder / "train", _name
    if any(_SPLIT.search(name) for name in ranking.table["file_name"].to_pylist()):
        name_of = _number
    placed = place(ranking, found(ranking, images, "hf"), inner, "copy" if how == "nowhere" else how, name_of)
    ranking, notes = ranking.without(placed.missing, "hf")
    table = ranking.table
    names = table["file_name"].to_pylist()
    now = [placed.where[name] for name in names]
    table = table.set_column(table.column_names.index("file_name"), "file_name", pa.array(now, pa.string()))
    if ranking.several:
        labels = pa.array([list(row.labels) for row in ranking.rows()], pa.list_(pa.string()))
        table = table.set_column(table.column_names.index("predicted_label"), "predicted_label", labels)
    if now != names:
        table = table.append_column(ORIGINAL, pa.array(names, pa.string()))
        other = sum(a != b for a, b in zip(now, names, strict=True))
        notes += (f"{number_of(other, 'image')} got other names; see {ORIGINAL}",)
    if media := [name for name in table.column_names if name.endswith(_MEDIA)]:
        table = table.rename_columns([f"{name}_" if name in media else name for name in table.column_names])
        notes += (f"a column of such a name must hold images, so it got another: {', '.join(media)}",)
    write_table(table.replace_schema_metadata(None), inner / METADATA_NAME)
    return len(ranking), notes


def _name(row: Row) -> str:
    return row.name


def _number(row: Row) -> str:
    return f"{row.rank:07d}{PurePosixPath(row.name).suffix}" if inside(row.name) else row.name
