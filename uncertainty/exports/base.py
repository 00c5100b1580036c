"""What every export is made of: rows in rank order, what each field is worth to a target, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.labels.tables import split, task_of

if TYPE_CHECKING:
    import pyarrow as pa

Place = Literal["nowhere", "copy", "link"]
"""What becomes of the images: they stay where they are, or are copied or linked into the export."""
_ROWS_AT_ONCE = 4096
_BULKY = ("est_", "prob_", "quality_")
_INTERNAL = ("probs", "predicted_index", "threshold", "effort", "error", "screen_id", "model_sha256")


@dataclass(frozen=True)
class Row:
    """One image: its name, the classes predicted for it (one, or for multilabel any number), and all its columns."""

    name: str
    labels: tuple[str, ...]
    rank: int
    p_wrong: float
    confidence: float | None
    values: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows to export, the first to look at first, with the classes and the model that they are of.

    `several` says that an image may have any number of classes; `notes` what was left out already.
    """

    table: pa.Table
    classes: tuple[str, ...]
    several: bool
    model_version: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, table: pa.Table, classes: Sequence[str] | None = None, model_version: str | None = None) -> Ranking:
        """Take a verdict table or a ranking: unreadable images are left out, the others sorted by `rank`.

        Without `classes` they are those that were predicted, and a note says so. Raises InputError for a column that
        is absent, and where no row is left.
        """
        import pyarrow as pa

        for name in ("file_name", "predicted_label", "p_wrong"):
            if name not in table.column_names:
                raise InputError(f"the table has no column {name!r}; give what `uncertainty screen` or `rank` wrote")
        table, notes = _readable(table)
        if not table.num_rows:
            raise InputError("there is no readable image to export; screen or rank some first")
        if "rank" in table.column_names:
            table = table.sort_by("rank")
        else:
            table = table.add_column(0, "rank", pa.array(range(1, table.num_rows + 1), pa.int64()))
        predicted = table["predicted_label"].unique().to_pylist()
        known = tuple(classes or _that_were_predicted(table, predicted))
        if not classes:
            notes.append(f"the table does not name its classes; taken are the {len(known)} that were predicted")
        several = task_of(table) == "multilabel" or _are_several(predicted, known)
        return cls(table, known, several, model_version or _version(table), tuple(notes))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.table.column_names)

    @property
    def carried(self) -> list[str]:
        """The columns that tools show: none of the scores, probabilities and internals."""
        return [name for name in self.columns if not name.startswith(_BULKY) and name not in _INTERNAL]

    def rows(self) -> Iterator[Row]:
        """Yield the rows, a few thousand in memory."""
        known = frozenset(self.classes)
        for batch in self.table.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for values in batch.to_pylist():
                text = values["predicted_label"] or ""
                yield Row(
                    name=values["file_name"],
                    labels=tuple(split(text, known)) if self.several else (text,),
                    rank=int(values["rank"]),
                    p_wrong=number(values["p_wrong"]),
                    confidence=None if values.get("confidence") is None else number(values["confidence"]),
                    values=values,
                )

    def without(self, names: Mapping[str, str], what: str) -> tuple[Ranking, tuple[str, ...]]:
        """Return the rows but for some, and a note that names the first with its reason; InputError where none is left.

        `names` are reasons by file name.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not names:
            return self, ()
        first = next(iter(names))
        note = f"{number_of(len(names), 'image is', 'images are')} left out of {what}, e.g. {first!r}: {names[first]}"
        if len(names) == len(self):
            raise InputError(f"no image can go into {what}, e.g. {first!r}: {names[first]}")
        kept = self.table.filter(pc.invert(pc.is_in(self.table["file_name"], pa.array(list(names), pa.string()))))
        return Ranking(kept, self.classes, self.several, self.model_version, self.notes), (note,)


@dataclass(frozen=True)
class Exported:
    """Where an export went, how many images are in it, and what could not be carried."""

    path: Path
    images: int
    notes: tuple[str, ...]


def number(value: float) -> float:
    """Return a float32 as the number of fewest digits that is the same.

    >>> number(0.8299999833106995)
    0.83
    """
    return float(str(np.float32(value)))


def left_out(columns: Sequence[str], carried: Sequence[str], what: str) -> tuple[str, ...]:
    """Say which columns a target does not carry, scores and probabilities by their number.

    >>> left_out(["file_name", "flagged", "est_a", "est_b"], ["file_name"], "cvat")
    ('cvat does not carry flagged, 2 columns est_...; csv and parquet do',)
    """
    lost = [name for name in columns if name not in carried]
    said = [name for name in lost if not name.startswith(_BULKY)]
    for prefix in _BULKY:
        many = sum(name.startswith(prefix) for name in lost)
        said += [number_of(many, f"column {prefix}...", f"columns {prefix}...")] if many else []
    return (f"{what} does not carry {', '.join(said)}; csv and parquet do",) if said else ()


def plain_value(value: Any) -> Any:
    """Return a value as JSON tools take it: lists joined by semicolons, float32 in few digits, the rest as it is."""
    if isinstance(value, list | tuple):
        return ";".join(str(plain_value(one)) for one in value)
    if isinstance(value, float):
        return number(value) if np.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)


def _readable(table: pa.Table) -> tuple[pa.Table, list[str]]:
    import pyarrow.compute as pc

    seen = pc.is_valid(table["p_wrong"])
    if "error" in table.column_names:
        seen = pc.and_(seen, pc.is_null(table["error"]))
    lost = table.filter(pc.invert(seen))
    if not lost.num_rows:
        return table, []
    first = lost.slice(0, 1).to_pylist()[0]
    why = first.get("error") or "no p_wrong"
    unread = number_of(lost.num_rows, "unreadable image is", "unreadable images are")
    return table.filter(seen), [f"{unread} left out, e.g. {first['file_name']!r}: {why}"]


def _that_were_predicted(table: pa.Table, predicted: Sequence[str | None]) -> list[str]:
    """Return the names in a column of predictions; a text is one name where indices show that images have one class."""
    whole = "predicted_index" in table.column_names and task_of(table) == "multiclass"
    return sorted({name for text in predicted if text for name in ([text] if whole else split(text))})


def _are_several(predicted: Sequence[str | None], classes: Sequence[str]) -> bool:
    """Tell joined labels, which a ranking without indices may hold, from classes that are not there."""
    known = frozenset(classes)
    odd = [text for text in predicted if text not in known]
    if stranger := next((name for text in odd for name in split(text, known) if name not in known), None):
        raise InputError(
            f"{stranger!r} was predicted and is none of the {len(known)} classes; give the right --classes"
        )
    return bool(odd)


def _version(table: pa.Table) -> str:
    for name in ("model_sha256", "screen_id"):
        if name in table.column_names and (value := table[name][0].as_py()):
            return f"uncertainty {str(value)[:12]}"
    return "uncertainty"
