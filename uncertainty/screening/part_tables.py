"""From the images of one part to its table, the same wherever it is done: in this process or by a worker."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from uncertainty.checks import verdict_tables
from uncertainty.classifiers.base import ArrayItem, Batch
from uncertainty.decisions.policies import Policy
from uncertainty.defaults import BATCH_SIZE, WORKERS
from uncertainty.errors import InputError
from uncertainty.images.data_sets import HeldImages
from uncertainty.images.decoding import digest_pixels
from uncertainty.images.sources import ImageItem, ImageSet
from uncertainty.images.thumbnails import THUMBNAIL_SIDE
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener
from uncertainty.screening.saved_screener import SavedScreener, with_held_networks
from uncertainty.screening.task import ROWS_IN_A_PART, Task

DIGEST, PICTURE, FEATURES, THUMBNAIL = "digest", "picture", "features", "thumbnail"
REMARK = "remark:"
"""Before each of the remarks of `DecodedImage` among the counts."""
_COUNTS = b"counts"
_TINY = 1e-12


def task_of(
    screener: Screener,
    images: ImageSet | OutputTable | Sequence[ArrayItem],
    *,
    batch_size: int = BATCH_SIZE,
    features: bool = True,
    rows_in_a_part: int = ROWS_IN_A_PART,
) -> Task:
    """Return what is to be done; the rows of a part are rounded down to whole batches.

    Batches begin anew with each part, so that a verdict is the same to the last bit however often a screening was
    interrupted. The input is known by its names in order, the columns of its manifest and the sizes of Parquet files
    with images. The files of single images are not looked at: one that is written anew between two runs is judged as
    it is when it is read, as in a run that nobody interrupts.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    return Task(
        images=len(images),
        input=images.fingerprint() if isinstance(images, ImageSet | HeldImages | OutputTable) else _fingerprint(images),
        screen_id=screener.id,
        model_sha256=screener.model.sha256 or "",
        policy=str(screener.decision.policy),
        batch_size=batch_size,
        features=features,
        rows_in_a_part=max(rows_in_a_part // batch_size, 1) * batch_size,
    )


def _fingerprint(items: Sequence[ArrayItem]) -> str:
    known = [[item.name, digest_pixels(item.data)] for item in items]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=16).hexdigest()


def part_tables(
    screener: Screener, images: ImageSet | OutputTable | Sequence[ArrayItem], task: Task, parts: range, **options: Any
) -> Iterator[pa.Table]:
    """Yield the tables of neighbouring parts; images are decoded ahead across their borders.

    `options` are workers and progress of `Classifier.stream`.
    """
    start, stop = task.positions(parts[0]).start, task.positions(parts[-1]).stop
    if not isinstance(images, ImageSet | OutputTable):
        some: Any = images[start:stop]
    else:
        some = images if (start, stop) == (0, len(images)) else images.select(np.arange(start, stop))
    batches = screener.stream(some, batch_size=task.batch_size, **options)
    yield from _joined(screener, batches, [len(task.positions(part)) for part in parts], task.features)


def _joined(screener: Screener, batches: Iterable[Batch], counts: Sequence[int], features: bool) -> Iterator[pa.Table]:
    tables: list[pa.Table] = []
    wanted = iter(counts)
    count = next(wanted)
    for batch in batches:
        tables.append(_table(screener, batch, features))
        if sum(map(len, tables)) >= count:
            yield as_part(tables)
            tables, count = [], next(wanted, 0)


def _table(screener: Screener, batch: Batch, features: bool) -> pa.Table:
    """Return the verdict rows of a batch and what else is kept of its images; counts go as metadata."""
    table = screener.verdict_rows(batch, otherwise=features)
    for name, column in _extras(batch).items() if features else ():
        table = table.append_column(name, column)
    counts = {
        "seen": screener.count_fitted_on(batch),
        "looked_at_more_deeply": 0 if batch.deeper is None else len(batch.deeper),
        "deeper_look_failed": sum(row.note is not None for row in batch.rows),
        **Counter(f"{REMARK}{remark}" for row in batch.rows for remark in row.remarks),
    }
    return with_counts(table, counts)


def with_counts(table: pa.Table, counts: Mapping[str, int]) -> pa.Table:
    """Return the table of a part with what `counts_of` tells of its images."""
    return table.replace_schema_metadata({_COUNTS: json.dumps(counts)})


def _extras(batch: Batch) -> dict[str, pa.Array]:
    """Return the columns of `features.parquet` but for the names; features are absent where there are none."""
    known = {
        DIGEST: pa.array([row.digest or None for row in batch.rows], pa.string()),
        PICTURE: pa.array([row.pixels or None for row in batch.rows], pa.string()),
        THUMBNAIL: pa.array([row.thumbnail for row in batch.rows], pa.binary(THUMBNAIL_SIDE**2)),
    }
    if not any(row.thumbnail for row in batch.rows):  # rows of a table: nobody saw a picture
        del known[PICTURE], known[THUMBNAIL]
    if batch.outputs is None or batch.outputs.features is None:
        return known
    return known | {FEATURES: _features(batch, batch.outputs)}


def _features(batch: Batch, outputs: ModelOutputs) -> pa.Array:
    known = np.asarray(outputs.features, dtype=np.float64)
    length = np.sqrt((known**2).sum(axis=1, keepdims=True))
    unreadable = np.array([row.error is not None for row in batch.rows])
    values = np.zeros((len(batch.rows), known.shape[1]), dtype=np.float16)
    values[~unreadable] = known / np.maximum(length, _TINY)
    # pyarrow loads its functions for a mask, which takes as long as some images.
    mask = {"mask": pa.array(unreadable)} if unreadable.any() else {}
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1], **mask)


def as_part(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the tables of batches as that of one part, their counts added up."""
    counts = [counts_of(table.schema) for table in tables]
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    # A batch of unreadable images alone has no features, nor knows how long they would be.
    joined = pa.concat_tables(tables, promote_options="default")
    return joined.combine_chunks().replace_schema_metadata({_COUNTS: json.dumps(total)})


def counts_of(schema: pa.Schema) -> dict[str, int]:
    """Return what a part counts of its images: `seen` fitted the screener, so many were looked at more deeply."""
    found = verdict_tables.metadata((schema.metadata or {}).get(_COUNTS), "a part", dict) or {}
    if not found or not all(type(count) is int and count >= 0 for count in found.values()):
        raise InputError("a part does not count its images; remove the folder .screening to begin anew")
    return dict(found)


@dataclass(frozen=True)
class Screen:
    """From the items of one part to its table, for workers: to be pickled, and loaded once where it arrives.

    `screen(items)` is what the local engine makes of the same items; write it with `part_files.write_part`.
    """

    folder: Path
    model: str | None = None
    device: str | None = None
    policy: Policy | None = None
    batch_size: int = BATCH_SIZE
    features: bool = True
    options: dict[str, Any] = field(default_factory=lambda: {"workers": WORKERS})
    embedder: str | None = None
    trust: bool = False

    @cached_property
    def screener(self) -> Screener:
        """The screener with its classifier, loaded when first needed."""
        saved = SavedScreener(self.folder, self.model, self.device, self.policy, self.embedder, self.trust)
        return with_held_networks(saved.load())

    def __call__(self, items: ImageSet | Sequence[ImageItem]) -> pa.Table:
        """Return the table of one part: the unranked verdict rows of its images, all of them, in their order."""
        images = items if isinstance(items, ImageSet) else ImageSet.of(items)
        if not len(images):
            raise InputError("there are no images to screen in this part")
        batches = self.screener.stream(images, batch_size=self.batch_size, **self.options)
        return next(_joined(self.screener, batches, [len(images)], self.features))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded screener behind."""
        return {name: value for name, value in vars(self).items() if name != "screener"}
