"""The second pass, over the parts of a screening: ranks, the one table, features, summary and monitoring.

All files are written beside the parts first and moved from there, the parts are removed last: whenever it is killed,
doing it again ends the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from uncertainty.errors import InputError, in_one_line
from uncertainty.files import alone, replacing, write_json
from uncertainty.images.remarks import in_words
from uncertainty.monitoring.batch import Calibrated, Monitoring, monitor
from uncertainty.monitoring.decision_accuracy import KnownDecisions
from uncertainty.screener import Screener
from uncertainty.screener.batch_level import BatchLevel
from uncertainty.screener.verdict_rows import OTHERWISE
from uncertainty.screening.allocator import give_back_freed_memory
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.screening.journal import FOLDER, Parts, moved
from uncertainty.screening.part_files import part_name
from uncertainty.screening.part_tables import FEATURES, REMARK, counts_of
from uncertainty.verdicts import FORMATS, SUMMARY, metadata_table, ranks, write_batches
from uncertainty.written import LEDGER, Entry, fingerprint, is_ours, read_ledger, set_aside, write_ledger

MONITORING = "monitoring.json"
FILES = (*(f"verdicts{ending}" for ending in FORMATS), SUMMARY, MONITORING, FEATURES_FILE)
"""What a screening may write."""
# A Parquet file remembers every group of rows until it is closed: small groups would grow memory with the images.
_ROWS_IN_A_GROUP = 4096

Metadata = Mapping[str, Sequence[str | None]]


def finish(
    parts: Parts,
    screener: Screener,
    metadata: Metadata,
    *,
    ending: str = ".parquet",
    adapting: bool = False,
    **about: Any,
) -> dict[str, Any]:
    """Make the files of a screening of which every part is done, beside the folder of the parts; return the summary.

    `metadata` are the columns of the manifest, `about` goes into the summary. With `adapting` p_wrong is that of the
    batch which all parts are together, see `screener.batch_level`.
    """
    give_back_freed_memory()  # what the network took would stay beside what the tables take
    try:
        survey = _Survey.of(parts, screener)
        survey = survey.levelled(parts, screener) if adapting else survey
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{parts.folder} holds parts of something else ({in_one_line(error)}); remove it to begin anew"
        ) from error
    written = [f"verdicts{ending}", SUMMARY, MONITORING]
    schema = _with(
        screener.schema(survey.counts["seen"], survey.adapted), metadata_table({name: [] for name in metadata}).schema
    )
    write_batches(schema, _ranked(parts, survey, schema, metadata), parts.folder / written[0])
    if FEATURES in survey.extras.names:
        written.append(FEATURES_FILE)
        _write_features(parts, survey, parts.folder / FEATURES_FILE)
    give_back_freed_memory()
    found = monitored(_batches(parts, _own(parts, schema)), screener)
    summary = _summary(survey, screener) | about
    notes = [*about.get("notes_on_images", ()), *_notes(survey, summary)]
    summary["notes_on_images"] = list(dict.fromkeys(notes))
    summary["drift"] = {"alarm": found.alarm, "in_words": found.drift_in_words()}
    write_json(parts.folder / MONITORING, found.to_json(), allow_nan=True)
    write_json(parts.folder / SUMMARY, summary, allow_nan=True)
    _move(parts.folder, written)
    parts.remove()
    return summary


def _move(folder: Path, names: Sequence[str]) -> None:
    """Replace the files of an earlier screening, those that this one has no counterpart for included.

    What tells of the earlier verdicts goes first; what somebody changed is kept under a dated name.
    """
    out, of = folder.parent, fingerprint(folder / names[0])
    made = {name: Entry(fingerprint(folder / name), of) for name in names}
    with alone(out):
        set_aside(out, FILES, made)
        for other in set(FILES) - set(names):
            (out / other).unlink(missing_ok=True)
        write_ledger(folder, out, read_ledger(out) | made)
        for name in (*names, LEDGER):
            moved(folder / name, out / name)


def move_completed(out: Path) -> None:
    """Put the rest of a screening in place where a process was killed while it did so: its files belong together."""
    begun, made = out / FOLDER, read_ledger(out / FOLDER)
    names = [name for name in FILES if name in made]
    with alone(out):
        there = [name for name in names if is_ours(begun / name, made[name])]
        if not names or not all(name in there or is_ours(out / name, made[name]) for name in names):
            return  # nothing was moved yet, or what is there is of another attempt
        for name in (*there, LEDGER):
            moved(begun / name, out / name)


@dataclass(frozen=True, eq=False)
class _Survey:
    """What all parts have to be asked before the table can be written: 9 bytes an image."""

    p_wrong: NDArray[np.float32]
    flagged: NDArray[np.bool_]
    rank: NDArray[np.integer]
    counts: dict[str, int]
    extras: pa.Schema
    level: BatchLevel | None = None

    @property
    def adapted(self) -> dict[str, Any] | None:
        """What provenance says of a p_wrong that was adapted."""
        return None if self.level is None else self.level.told()

    def levelled(self, parts: Parts, screener: Screener) -> _Survey:
        """Return the same with p_wrong and flags of the batch."""
        level, flagged, start = BatchLevel.of(_batches(parts), screener), [], 0
        for batch in _batches(parts, ["predicted_index"]):
            flagged.append(level.flagged(batch, start))
            start += len(batch)
        p = level.p_wrong
        return replace(self, p_wrong=p, flagged=np.concatenate(flagged), rank=ranks(p), level=level)

    @classmethod
    def of(cls, parts: Parts, screener: Screener) -> _Survey:
        verdicts = set(screener.schema().names)
        p_wrong = np.empty(parts.task.images, dtype=np.float32)
        flagged = np.empty(parts.task.images, dtype=bool)
        counts: dict[str, int] = {}
        extras: dict[str, pa.Field] = {}
        for part in range(parts.task.parts):
            table, rows = parts.read(part, ["p_wrong", "flagged"]), parts.task.positions(part)
            p_wrong[rows.start : rows.stop] = table["p_wrong"].to_numpy()
            flagged[rows.start : rows.stop] = table["flagged"].to_numpy()
            schema = pq.read_schema(parts.folder / part_name(part))
            counts |= {name: counts.get(name, 0) + more for name, more in counts_of(schema).items()}
            extras |= {field.name: field for field in schema if field.name not in verdicts}
        return cls(p_wrong, flagged, ranks(p_wrong), counts, pa.schema(list(extras.values())))


def _with(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *more], metadata=schema.metadata)


def _batches(parts: Parts, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    for part in range(parts.task.parts):
        yield from parts.read(part, columns).to_batches(max_chunksize=_ROWS_IN_A_GROUP)


def _own(parts: Parts, schema: pa.Schema) -> list[str]:
    """Return the columns of the verdicts that the parts hold: not the rank, nor what the manifest brings."""
    there = set(pq.read_schema(parts.folder / part_name(0)).names)
    return [name for name in schema.names if name in there]


def _ranked(parts: Parts, survey: _Survey, schema: pa.Schema, metadata: Metadata) -> Iterator[pa.RecordBatch]:
    own = _own(parts, schema)
    read, start = own if survey.level is None else [*own, OTHERWISE], 0
    for batch in _grouped(_batches(parts, read)):
        now = {} if survey.level is None else survey.level.columns(batch, start)
        rows = slice(start, start := start + len(batch))
        columns = {name: now.get(name, batch[name]) for name in own} | {"rank": pa.array(survey.rank[rows], pa.int64())}
        brought = metadata_table({name: values[rows] for name, values in metadata.items()})
        columns |= {name: column.chunk(0) for name, column in zip(brought.column_names, brought.columns, strict=True)}
        yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches of one schema, so that groups of rows in the file do not depend on the size of parts."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        while sum(map(len, waiting)) >= _ROWS_IN_A_GROUP:
            whole = pa.concat_batches(waiting)
            yield whole.slice(0, _ROWS_IN_A_GROUP)
            waiting = [whole.slice(_ROWS_IN_A_GROUP)]
    if sum(map(len, waiting)):
        yield pa.concat_batches(waiting)


def _write_features(parts: Parts, survey: _Survey, path: Path) -> None:
    schema = pa.schema([pa.field("file_name", pa.string()), *survey.extras])
    dictionaries = [field.name for field in schema if pa.types.is_string(field.type)]
    thrifty = {"use_dictionary": dictionaries, "compression": "zstd", "write_statistics": False}
    with replacing(path) as file, pq.ParquetWriter(file, schema, **thrifty) as writer:
        for batch in _grouped(_filled(parts, schema, survey.level)):
            writer.write_batch(batch)


def _filled(parts: Parts, schema: pa.Schema, level: BatchLevel | None) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a schema; a part of unreadable images alone does not have them all."""
    start, more = 0, () if level is None else ("flagged", "reasons", "predicted_index")
    for part in range(parts.task.parts):
        present = set(pq.read_schema(parts.folder / part_name(part)).names)
        for batch in parts.read(part, [name for name in (*schema.names, *more) if name in present]).to_batches():
            now = {} if level is None else level.columns(batch, start)
            start += len(batch)
            columns = [
                now.get(field.name, batch[field.name]) if field.name in present else pa.nulls(len(batch), field.type)
                for field in schema
            ]
            yield pa.record_batch(columns, schema=schema)


def _summary(survey: _Survey, screener: Screener) -> dict[str, Any]:
    readable = ~np.isnan(survey.p_wrong)
    deeper = {name: n for name, n in survey.counts.items() if name != "seen"} if screener.cascade is not None else {}
    return {
        "images": len(readable),
        "unreadable": int((~readable).sum()),
        "flagged": int(survey.flagged.sum()),
        "predicted_errors": float(survey.p_wrong[readable].sum(dtype=np.float64)),
        "policy": str(screener.decision.policy),
        "threshold": None if math.isnan(screener.threshold) else screener.threshold,
        "classes": list(screener.model.classes),
        "provenance": screener.provenance(survey.counts["seen"], survey.adapted),
        **deeper,
    }


def _notes(survey: _Survey, summary: Mapping[str, Any]) -> list[str]:
    """Say what is odd about the images of a screening, all together."""
    remarks = {name.removeprefix(REMARK): n for name, n in survey.counts.items() if name.startswith(REMARK)}
    notes = in_words(remarks)
    if survey.level is not None:
        notes.append(f"p_wrong is adapted to these images as a batch: {survey.level.found.why}")
    if summary["unreadable"] == summary["images"]:
        notes.append("not one of the images can be read; the column error says why")
    return notes


def monitored(batches: Iterable[pa.RecordBatch], screener: Screener, **options: Any) -> Monitoring:
    """Compare with calibration; in a cascade by what every image has, the first look."""
    s, estimators, judge = screener, screener.estimators, screener.combiner
    if s.cascade is not None:
        estimators, judge = s.cascade.cheap(estimators), s.cascade.combiner
    baseline = s.baseline.only([e in estimators for e in s.estimators])
    by = Calibrated(estimators, judge, baseline, s.calibrated_on, s.model.classes, _decisions(s))
    return monitor(batches, by, **options)


def _decisions(screener: Screener) -> KnownDecisions | None:
    """Return the decisions of several labels an image of the calibration rows as they were drawn, without copies."""
    if screener.decisions is None:
        return None
    drawn, clusters = screener.calibration.as_drawn, screener.calibration.clusters
    rows = screener.decisions.rows.take(drawn)
    return KnownDecisions(rows.p_wrong, rows.wrong, None if clusters is None else clusters[drawn])
