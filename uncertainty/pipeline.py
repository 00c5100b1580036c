"""From paths to files: the one place that joins screener, images and output folder; memory stays flat."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uncertainty.classifiers.base import Images, image_items
from uncertainty.errors import InputError
from uncertainty.monitoring.watch import Monitoring, monitor
from uncertainty.screener import Screener
from uncertainty.sources import ImageSet, metadata_of
from uncertainty.verdicts import FORMATS, Verdicts, metadata_table, ranks, replacing, write_batches

SUMMARY, MONITORING = "summary.json", "monitoring.json"


def screen_into(
    folder: Path,
    screener: Screener,
    images: Images,
    *,
    ending: str = ".parquet",
    **options: Any,
) -> dict[str, Any]:
    """Screen images of any number into `folder/verdicts.parquet` (.csv, .jsonl), `summary.json` and `monitoring.json`.

    Rows are written batch by batch; ranks, which need all rows, are a second pass over one column. `options` are
    those of `Classifier.stream`. Returns the summary: counts, policy, drift, and what p_wrong was calibrated on; in a
    cascade also how many images were looked at more deeply.
    """
    if ending not in FORMATS:
        raise InputError(f"format {ending!r} is not one of {', '.join(FORMATS)}")
    folder.mkdir(parents=True, exist_ok=True)
    images = image_items(images)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".screening.", suffix=".parquet") as unranked:
        counts = _write_unranked(unranked, screener, screener.stream(images, **options))
        seen = counts.pop("seen")
        metadata = metadata_table(metadata_of(images))
        schema = _joined(screener.schema(seen), metadata.schema)
        write_batches(schema, _with_ranks(Path(unranked.name), schema, metadata), folder / f"verdicts{ending}")
        found = _monitored(pq.ParquetFile(unranked.name).iter_batches(batch_size=4096), screener)
        summary = _summary(Path(unranked.name), screener, seen) | counts
    if isinstance(images, ImageSet):  # where a report finds the images again
        summary["input_root"] = str(images.root.absolute())
    summary["drift"] = {"alarm": found.alarm, "in_words": found.drift_in_words()}
    _write_json(folder / MONITORING, found.to_json())
    _write_json(folder / SUMMARY, summary)
    for other in set(FORMATS) - {ending}:  # an earlier screening in another format would be read instead
        (folder / f"verdicts{other}").unlink(missing_ok=True)
    return summary


# A Parquet file remembers every group of rows until it is closed: groups of 32 would grow memory with the images.
_ROWS_IN_A_GROUP = 1024


def _write_unranked(file: Any, screener: Screener, batches: Any) -> dict[str, Any]:
    counts: dict[str, Any] = {"seen": 0, "looked_at_more_deeply": 0, "deeper_look_failed": 0}
    group = []
    with pq.ParquetWriter(file, screener.schema()) as writer:
        for batch in batches:
            group.append(screener.verdict_rows(batch))
            counts["seen"] += screener.count_fitted_on(batch)
            counts["looked_at_more_deeply"] += 0 if batch.deeper is None else len(batch.deeper)
            counts["deeper_look_failed"] += sum(row.note is not None for row in batch.rows)
            if sum(map(len, group)) >= _ROWS_IN_A_GROUP:
                writer.write_table(pa.concat_tables(group))
                group = []
        if group:
            writer.write_table(pa.concat_tables(group))
    file.flush()
    return counts if screener.cascade is not None else {"seen": counts["seen"]}


def _joined(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *more], metadata=schema.metadata)


def _with_ranks(path: Path, schema: pa.Schema, metadata: pa.Table) -> Iterator[pa.RecordBatch]:
    rank = ranks(_column(path, "p_wrong"))
    position, start = schema.get_field_index("rank"), 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
        more = metadata.slice(start, len(batch)).combine_chunks()
        columns = [*batch.columns, *(column.chunk(0) for column in more.columns)]
        columns[position] = pa.array(rank[start : start + len(batch)])
        start += len(batch)
        yield pa.record_batch(columns, schema=schema)


def _column(path: Path, name: str) -> Any:
    return pq.read_table(path, columns=[name])[name].to_numpy(zero_copy_only=False)


def _summary(path: Path, screener: Screener, seen: int) -> dict[str, Any]:
    p_wrong, flagged = _column(path, "p_wrong"), _column(path, "flagged").astype(bool)
    readable = ~np.isnan(p_wrong)
    return {
        "images": len(p_wrong),
        "unreadable": int((~readable).sum()),
        "flagged": int(flagged.sum()),
        "predicted_errors": float(p_wrong[readable].sum(dtype=np.float64)),
        "policy": str(screener.decision.policy),
        "threshold": None if screener.decision.policy.per_class else screener.threshold,
        "classes": list(screener.model.classes),
        "provenance": screener.provenance(seen),
    }


def monitor_folder(folder: Path, screener: Screener, **options: Any) -> Monitoring:
    """Estimate the accuracy of a folder's verdicts without labels and look for drift; write `monitoring.json` there.

    `options` are those of `uncertainty.monitoring.watch.monitor`. Verdicts of another screener are refused.
    """
    verdicts = Verdicts.read(folder)
    made_by = verdicts.provenance.get("calibrated_on")
    if made_by is not None and made_by != json.loads(json.dumps(screener.calibrated_on)):
        raise InputError(f"{folder} was judged by another screener than the one given; give the one that made it")
    found = _monitored(verdicts.table.to_batches(max_chunksize=4096), screener, **options)
    _write_json((folder if folder.is_dir() else folder.parent) / MONITORING, found.to_json())
    return found


def _monitored(batches: Any, screener: Screener, **options: Any) -> Monitoring:
    """Compare with calibration; in a cascade by what every image has, the first look."""
    s, estimators, judge = screener, screener.estimators, screener.combiner
    if s.cascade is not None:
        estimators, judge = s.cascade.cheap(estimators), s.cascade.combiner
    baseline = s.baseline.only([e in estimators for e in s.estimators])
    return monitor(batches, judge, estimators, s.calibrated_on, baseline, s.model.classes, **options)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path, binary=False) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
