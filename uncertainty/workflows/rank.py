"""From the folder of a screening to the list of images to label next, with what else lies in that folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from uncertainty.annotation.batch_selection import Known
from uncertainty.annotation.ranking import Selection, select
from uncertainty.annotation.ranking_settings import RankingSettings
from uncertainty.defaults import WORKERS
from uncertainty.errors import ImageError, InputError, in_one_line
from uncertainty.images.decoding import Reading, decode
from uncertainty.images.manifests import read_manifest
from uncertainty.images.thumbnails import THUMBNAIL_SIDE, details, thumbnail
from uncertainty.labels.by_name import read_labels
from uncertainty.labels.imports.output_tables import is_table
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import FORMATS, Verdicts, file_of, folder_of, input_root, read_summary, write_table
from uncertainty.written import fingerprint, refuse, written

_BOXES = THUMBNAIL_SIDE**2


@at_urls("folder", "path")
def rank_folder(
    folder: Path,
    n: int,
    path: Path,
    *,
    exclude: Sequence[Path] = (),
    overwrite: bool = False,
    **asked: Any,
) -> Selection:
    """Write the n images of a folder's verdicts to label next, the first to label first.

    `features.parquet` beside the verdicts gives features, digests and thumbnails. Without thumbnails the images
    themselves are read again, where they were screened, as far as near-duplicates are looked for. `exclude` are tables
    or folders of labels, and earlier rankings; `asked` is what else `RankingSettings` holds. A file that holds
    something else, such as labels filled in, or that lists another screening, is an InputError unless `overwrite`.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path.name} ends in {path.suffix!r}; write to one of {', '.join(FORMATS)}")
    verdicts, of = Verdicts.read(folder), fingerprint(file_of(folder))
    refuse(path.parent, [path.name], of, overwrite=overwrite)
    known, note = read_known(folder_of(folder), verdicts)
    names = {name for one in exclude for name in labelled_names(one)}
    found = select(verdicts, RankingSettings(n, **asked), known, exclude=names)
    with written(path.parent, [path.name], of, overwrite=overwrite) as where:
        write_table(found.table, where / path.name)
    return Selection(found.table, found.expected, found.strategy, (*found.notes, *note))


def labelled_names(path: Path) -> set[str]:
    """Return the images that a file names as labelled.

    Of a table with labels those that have one, of an earlier ranking or another list all;
    of class folders all images. Raises InputError as `read_labels` does.
    """
    if path.is_dir() or is_table(path):
        return set(read_labels(path))
    if not path.exists():
        raise InputError(f"{path} does not exist; --exclude takes labels or an earlier ranking")
    listed = read_manifest(path)
    labels = listed.labels
    names = {name for i, name in enumerate(listed.names) if labels is None or labels[i] is not None}
    # A name that a spreadsheet could run as a formula stands behind an apostrophe in our CSV files.
    return names | {name[1:] for name in names if name.startswith("'")}


def read_known(folder: Path, verdicts: Verdicts) -> tuple[Known, list[str]]:
    """Return features, digests and looks of the rows of a verdict table, and what is missing."""
    names = verdicts.table["file_name"].to_pylist()
    try:
        stored = _checked(_stored(folder / FEATURES_FILE, names))
    except ValueError as error:  # pyarrow's are of these
        raise InputError(f"{folder / FEATURES_FILE} was changed or damaged: {error}; screen again") from error
    digests = stored["digest"].to_pylist() if "digest" in stored.column_names else None
    features = _fixed(stored["features"]) if "features" in stored.column_names else None
    if "thumbnail" in stored.column_names:
        boxes = _thumbnails(stored["thumbnail"])
        return Known(features, digests, lambda rows: details(boxes[rows])), []
    root = input_root(read_summary(folder))
    reading = Reading.from_dict(verdicts.provenance.get("reading"))
    if root is not None and any((root / name).is_file() for name in names[:_BOXES]):
        return Known(features, digests, _Reader(root, names, reading)), []
    without = "features tell near-duplicates" if features is not None else "only equal files are near-duplicates"
    return Known(features, digests), [f"neither thumbnails nor the images are there: {without}"]


def _stored(path: Path, names: Sequence[str]) -> pa.Table:
    """Return the rows of `features.parquet` in the order of names; raises InputError where one is missing."""
    if not path.is_file():
        return pa.table({})
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} can't be read: {in_one_line(error)}; screen again") from error
    if "file_name" in table.column_names and table["file_name"].to_pylist() == list(names):
        return table.drop_columns(["file_name"])
    raise InputError(f"{path} is not of the images in the verdicts beside it; screen again")


def _checked(stored: pa.Table) -> pa.Table:
    """Return digests, thumbnails and features of the kinds that a screening writes; ValueError for others."""
    kinds = {"digest": pa.string(), "thumbnail": pa.binary(_BOXES)}
    for name in kinds.keys() & set(stored.column_names):
        k = stored.column_names.index(name)
        stored = stored.set_column(k, name, stored[name].cast(kinds[name]))
    if "features" in stored.column_names:
        kind = stored.schema.field("features").type
        if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type) or kind.list_size < 1:
            raise ValueError(f"its features are {kind}")
        if not np.isfinite(_fixed(stored["features"]).astype(np.float32)).all():
            raise ValueError("its features are not finite")
    return stored


def _fixed(column: pa.ChunkedArray) -> NDArray[np.float16]:
    """Return (N, d) of a column of lists, zeros where there is none."""
    width = column.type.list_size
    filled = np.zeros((len(column), width), dtype=np.float16)
    known = np.asarray(column.is_valid())
    if known.any():
        values = pc.list_flatten(column.filter(column.is_valid()))
        filled[known] = np.asarray(values.to_numpy(), dtype=np.float16).reshape(-1, width)
    return filled


def _thumbnails(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    blank = bytes(_BOXES)
    joined = b"".join(blank if cell is None else cell for cell in column.to_pylist())
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, _BOXES)


class _Reader:
    """Reads the images of some rows again, each one once; one that is gone or damaged is like nothing."""

    def __init__(self, root: Path, names: Sequence[str], reading: Reading) -> None:
        self.root, self.names, self.reading = root, names, reading
        self.seen: dict[int, NDArray[np.uint8]] = {}

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        new = [row for row in rows.tolist() if row not in self.seen]
        with ThreadPoolExecutor(WORKERS) as pool:
            self.seen |= dict(zip(new, pool.map(self._read, new), strict=True))
        return details(np.stack([self.seen[row] for row in rows.tolist()]))

    def _read(self, row: int) -> NDArray[np.uint8]:
        try:
            return thumbnail(decode(self.root / self.names[row], reading=self.reading).pixels)
        except (ImageError, OSError):
            return np.zeros(_BOXES, dtype=np.uint8)
