"""Hugging Face imagefolder: the images, and `metadata.parquet` with every column beside them."""

from __future__ import annotations

from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.exports.base import Place, Ranking
from uncertainty.exports.placing import found, place
from uncertainty.verdicts import write_table

METADATA_NAME = "metadata.parquet"
ORIGINAL = "original_file_name"


def write(
    ranking: Ranking, folder: Path, *, images: Path | None = None, how: Place = "nowhere"
) -> tuple[int, tuple[str, ...]]:
    """Write `metadata.parquet` and the images, copied where nothing else is asked; return images and notes.

    They lie in `train/`, the one split, so that folders of yours that are called test or validation do not become
    splits. Where a name had to change, the column `original_file_name` has the one of the verdicts.
    """
    import pyarrow as pa

    if "image" in ranking.columns:
        raise InputError("the table has a column 'image', which is what the images are called there; rename it")
    inner = folder / "train"
    placed = place(ranking, found(ranking, images, "hf"), inner, "copy" if how == "nowhere" else how)
    ranking, notes = ranking.without(placed.missing, "hf")
    table = ranking.table
    names = table["file_name"].to_pylist()
    now = [placed.where[name] for name in names]
    table = table.set_column(table.column_names.index("file_name"), "file_name", pa.array(now, pa.string()))
    if now != names:
        table = table.append_column(ORIGINAL, pa.array(names, pa.string()))
        notes += (f"{sum(a != b for a, b in zip(now, names, strict=True))} images got an ending; see {ORIGINAL}",)
    write_table(table.replace_schema_metadata(None), inner / METADATA_NAME)
    return len(ranking), notes
