"""Labels as a table that `evaluate`, `labels` and `update` read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.labels.inclusion import INCLUSION
from uncertainty.service.desk.answers import Kind
from uncertainty.service.desk.counted import Counted, Screened
from uncertainty.service.desk.store import Saved
from uncertainty.verdicts import csv_text, write_table

if TYPE_CHECKING:
    import pyarrow as pa

LABELS, UNUSABLE = "review_labels.csv", "review_unusable.csv"


def labels_table(screened: Screened, answers: Sequence[Saved]) -> pa.Table:
    """Return a row for each answer: file_name, label, annotator, time, how, and inclusion where images were drawn."""
    import pyarrow as pa

    judged = [one for one in answers if one.answer.judged]
    columns: dict[str, Any] = _columns(screened, judged) | {"label": [one.answer.label for one in judged]}
    counted = Counted(screened, answers)
    chance = counted.inclusion(rows := counted.settled())
    if chance is not None:
        known = dict(zip(rows.tolist(), chance.tolist(), strict=True))
        columns[INCLUSION] = [known.get(one.item) for one in judged]
    order = [name for name in ("file_name", "label", "annotator", "time", "how", INCLUSION) if name in columns]
    kinds = {INCLUSION: pa.float64()}
    return pa.table({name: pa.array(columns[name], kinds.get(name, pa.string())) for name in order})


def unusable_table(screened: Screened, answers: Sequence[Saved]) -> pa.Table:
    """Return a row for each image that somebody called unusable."""
    import pyarrow as pa

    columns = _columns(screened, [one for one in answers if one.answer.kind is Kind.UNUSABLE])
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def write_labels(folder: Path, screened: Screened, answers: Sequence[Saved]) -> Path:
    """Write both tables into a folder, in place of what the review wrote there before; return that of the labels."""
    write_table(labels_table(screened, answers), folder / LABELS)
    unusable = unusable_table(screened, answers)
    if len(unusable) or (folder / UNUSABLE).exists():
        write_table(unusable, folder / UNUSABLE)
    return folder / LABELS


def labels_text(screened: Screened, answers: Sequence[Saved]) -> str:
    """Return the labels as the text of the file that `write_labels` writes."""
    return csv_text(labels_table(screened, answers))


def _columns(screened: Screened, answers: Sequence[Saved]) -> dict[str, Any]:
    return {
        "file_name": [screened.names[one.item] for one in answers],
        "annotator": [one.annotator for one in answers],
        "time": [one.time for one in answers],
        "how": [one.how for one in answers],
    }
