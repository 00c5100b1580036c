"""From a finished screening and another policy to the same screening with other flags; no network is run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from uncertainty.decisions.each_decision import flagged_labels, flags_of_decisions
from uncertainty.errors import InputError
from uncertainty.labels.tables import table_decisions
from uncertainty.screener import Screener
from uncertainty.screener.verdict_rows import OTHERWISE
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.screening.journal import opened, writing
from uncertainty.screening.part_tables import with_counts
from uncertainty.screening.second_pass import FILES, finish, move_completed
from uncertainty.screening.task import Task
from uncertainty.verdicts import FLAGGED_LABELS, METADATA, Verdicts, file_of, metadata_of_rows, read_summary
from uncertainty.workflows.screen import ADAPTED, TASK
from uncertainty.written import is_ours, read_ledger


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished screening as it was written: its folder, rows, summary and what was done."""

    folder: Path
    verdicts: Verdicts
    summary: dict[str, Any]
    task: Task


def finished(folder: Path, screener: Screener) -> Finished:
    """Read a finished screening by this screener, whatever its policy then was.

    Raises InputError: a folder without a screening, one of another screener, files that were changed since, no features
    beside the verdicts, and a screener with a cascade, whose policy decides which images the network looks at again.
    """
    if screener.cascade is not None:
        raise InputError("the policy of a cascade decides which images are looked at more deeply; screen them again")
    move_completed(folder)
    summary, known = read_summary(folder), read_ledger(folder)
    task = Task.from_dict(summary.get(TASK))
    if task is None or not (folder / FEATURES_FILE).is_file():
        raise InputError(f"{folder} is no finished screening with its {FEATURES_FILE}; give the folder of one")
    if task.policy.endswith(ADAPTED):
        raise InputError(f"{folder} was adapted to its batch, and the policy is part of that; screen again")
    for name in FILES:
        if (folder / name).exists() and not is_ours(folder / name, known.get(name)):
            raise InputError(f"{folder / name} was changed since it was written; screen again, into another folder")
    verdicts = Verdicts.read(folder)
    made_by = verdicts.provenance or summary.get("provenance", {})
    mine = {"calibrated_on": json.loads(json.dumps(screener.calibrated_on)), "model_sha256": screener.model.sha256}
    if any(made_by.get(name) != value for name, value in mine.items()):
        raise InputError(f"{folder} was screened by another screener than the one given; give the one that made it")
    if OTHERWISE not in pq.read_schema(folder / FEATURES_FILE).names:
        raise InputError(f"{folder} was screened by an earlier release; screen again")
    return Finished(folder, verdicts, summary, task)


def reflag(done: Finished, screener: Screener) -> dict[str, Any]:
    """Flag the images of a finished screening by the policy that a screener has now; return the new summary.

    Verdicts, summary, monitoring and features become, byte for byte, those of a screening anew. What told of the
    verdicts before, such as an evaluation, is removed, or kept under a dated name where somebody changed it. Killed at
    any moment, it can be done again, or `screen --resume` goes on.
    """
    task = replace(done.task, screen_id=screener.id, policy=str(screener.decision.policy))
    table, ending = done.verdicts.table, file_of(done.folder).suffix
    about: dict[str, Any] = {TASK: asdict(task)}
    about |= {name: done.summary[name] for name in ("input_root", "notes_on_images") if name in done.summary}
    counts = {"seen": int(done.summary["provenance"]["images_that_fitted_the_screener"])}
    with opened(done.folder, task, resume=True) as parts:
        tables = _parts(done.folder, table, [len(task.positions(part)) for part in range(task.parts)])
        for part, (rows, extras) in enumerate(tables):
            with writing(done.folder):
                parts.write(part, with_counts(_flagged(rows, extras, screener), counts if part == 0 else {"seen": 0}))
        with writing(done.folder):
            return finish(parts, screener, metadata_of_rows(table), ending=ending, **about)


def _parts(folder: Path, table: pa.Table, counts: Sequence[int]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield, part by part, the rows of the verdicts and what else was kept of their images."""
    start = 0
    with pq.ParquetFile(folder / FEATURES_FILE) as file:
        for count, extras in zip(counts, _cut(file.iter_batches(), counts), strict=True):
            rows = table.slice(start, count)
            if rows["file_name"].to_pylist() != extras["file_name"].to_pylist():
                raise InputError(f"{folder / FEATURES_FILE} is not of the images in the verdicts; screen again")
            yield rows, extras.drop_columns(["file_name"])
            start += count


def _cut(batches: Iterable[pa.RecordBatch], counts: Sequence[int]) -> Iterator[pa.Table]:
    """Join and cut batches to tables of so many rows."""
    waiting, more = pa.table({}), iter(batches)
    for count in counts:
        while len(waiting) < count and (batch := next(more, None)) is not None:
            new = pa.Table.from_batches([batch])
            waiting = pa.concat_tables([waiting, new]) if len(waiting) else new
        yield waiting.slice(0, count)
        waiting = waiting.slice(count)


def _flagged(rows: pa.Table, extras: pa.Table, screener: Screener) -> pa.Table:
    """Return a part with the flags of a screener's policy, and reasons that go with them."""
    p_wrong = rows["p_wrong"].to_numpy(zero_copy_only=False)
    thresholds = _thresholds(rows, screener)
    was = rows["flagged"].to_numpy(zero_copy_only=False)
    labels = _of_decisions(rows, screener)
    flags = p_wrong >= thresholds if labels is None else labels.any(axis=1)
    flags = np.where(np.isnan(p_wrong), True, flags)
    reasons = [rows["reasons"].to_pylist(), extras[OTHERWISE].to_pylist()]
    pairs = list(zip(*reasons, (flags != was).tolist(), strict=True))
    each = screener.decision.policy.per_class
    unread = np.isnan(p_wrong) if each else np.full(len(rows), labels is not None)
    now: dict[str, Any] = {
        "flagged": pa.array(flags),
        "threshold": pa.array(thresholds, pa.float32(), mask=unread),
        "reasons": [other if flipped else own for own, other, flipped in pairs],
        "screen_id": [screener.id] * len(rows),
    }
    if labels is not None:
        joined = flagged_labels(labels, screener.model.classes)
        now[FLAGGED_LABELS] = pa.array(joined, pa.string(), mask=np.isnan(p_wrong))
    schema = screener.schema()
    known = {name: now[name] if name in now else rows[name] for name in schema.names if not name.startswith(METADATA)}
    table = pa.table(known, schema=schema)
    other = pa.array([own if flipped else other for own, other, flipped in pairs], pa.list_(pa.string()))
    for name in extras.column_names:
        table = table.append_column(extras.schema.field(name), other if name == OTHERWISE else extras[name])
    return table


def _of_decisions(rows: pa.Table, screener: Screener) -> NDArray[np.bool_] | None:
    """(n, c) which decisions are flagged; None where a policy is about images."""
    if not screener.decision.policy.per_decision:
        return None
    p_wrong = table_decisions(rows, screener.model.classes)
    if p_wrong is None:
        raise InputError("these verdicts have no p_wrong of single decisions; screen again")
    return flags_of_decisions(screener.decision, p_wrong)


def _thresholds(rows: pa.Table, screener: Screener) -> NDArray[np.float32]:
    """Return (n,) the line of each row; of one that could not be read that of all."""
    if not screener.decision.policy.per_class:
        return np.full(len(rows), screener.threshold, dtype=np.float32)
    predicted = rows["predicted_index"].fill_null(-1).to_numpy()
    return screener.decision.thresholds(predicted)
