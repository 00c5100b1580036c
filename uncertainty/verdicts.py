"""The table users get: one row for every input image, whatever happened to it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from uncertainty.checks import verdict_tables
from uncertainty.checks.class_columns import DECISION, DECISIONS, WIDE_CLASSES, wide_names
from uncertainty.checks.csv_cells import cell, cells, uncelled
from uncertainty.errors import InputError, in_one_line
from uncertainty.files import replacing
from uncertainty.notebook.verdict_looks import Shown

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".parquet", ".csv", ".jsonl")
SUMMARY = "summary.json"
"""What a screening writes beside its verdicts about all of them."""
METADATA = "meta_"
"""Prefix of the columns that a manifest brought along, so that none of them takes the name of one of ours."""
QUALITY = "quality_"
"""Prefix of the statistics of the image itself, see `uncertainty.images.quality`."""
FLAGGED_LABELS = "flagged_labels"
"""The labels whose decision is flagged, joined by semicolons, where a policy on single decisions was asked for."""
SUGGESTED = ("suggested_label", "suggested_probability")
"""What all evidence finds likelier than the predicted label, and how probable that is; null where they are the same."""
_KINDS: dict[str, type] = {"provenance": dict, "classes": list, "input_root": str, "task": dict, "drift": dict}
_PROVENANCE = b"uncertainty"
_CLASSES = b"classes"
_NEEDED = ("file_name", "p_wrong", "flagged")
_OF_ALL = ("error", "predicted_label")  # that a ranking need not have
_ROWS_AT_ONCE = 4096
_LONGEST_ROW = 1 << 24  # bytes; pyarrow's own limit of a megabyte is too little for 50,000 classes


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts(Shown):
    """One row an image: prediction, `p_wrong` (0..1, higher = more likely wrong), flag, rank, reasons, raw estimators.

    `table` is a pyarrow.Table with the columns of `schema`. An image that could not be read has `error` set, is
    flagged, has nulls for what nobody can know, and ranks behind all others. `images` are where their pictures are, if
    anybody knows; what `Tabular` says of rows and columns holds.
    """

    table: pa.Table
    images: Any = None

    @property
    def flagged(self) -> pa.Table:
        """The flagged rows, the most suspicious first."""
        return self.table.filter(self.table["flagged"]).sort_by("rank")

    @property
    def provenance(self) -> dict[str, Any]:
        """What `p_wrong` was calibrated on, which model and which screener; empty if the file did not carry it."""
        return verdict_tables.provenance((self.table.schema.metadata or {}).get(_PROVENANCE))

    def write(self, path: str | Path) -> None:
        """Write as .parquet, .csv or .jsonl, by the ending; a crash leaves the old file or the new one."""
        write_table(self.table, Path(path))

    @property
    def classes(self) -> list[str] | None:
        """The names of the classifier's classes, where each has a column or the file says so; else None."""
        raw = (self.table.schema.metadata or {}).get(_CLASSES)
        said = verdict_tables.metadata(raw, "the verdicts", list)
        wide = [name.removeprefix("prob_") for name in self.table.column_names if name.startswith("prob_")]
        return wide or (None if said is None else [str(name) for name in said])

    @classmethod
    def read(cls, path: str | Path) -> Verdicts:
        """Read what `write` wrote, or the verdicts inside the output folder of a screening.

        Of a screening's verdicts in text, which carries no provenance, it is that of the summary beside them. Raises
        InputError for a file that can't be read, or that holds what no screening writes: a name twice, p_wrong or
        probabilities out of range, predictions that are no class, a column of another kind.
        """
        path = file_of(Path(path))
        table = read_table(path)
        if missing := [name for name in _NEEDED if name not in table.column_names]:
            why = f"it has no column {missing[0]!r}"
            raise InputError(f"{path} holds no verdicts: {why}; run `uncertainty screen` first")
        summary, whole = read_summary(path), path.stem == "verdicts"
        if missing := [name for name in _OF_ALL if whole and name not in table.column_names]:
            raise InputError(f"{path} has no column {missing[0]!r}; run `uncertainty screen` again")
        table = verdict_tables.with_provenance(table, _PROVENANCE, summary.get("provenance") if whole else None)
        table = verdict_tables.checked(table, path, _types(table.column_names), cls(table).classes)
        return cls(table, input_root(summary))


def file_of(path: Path) -> Path:
    """Return the file of verdicts in the output folder of a screening; a file as it is. InputError where none is."""
    found = [one for ending in FORMATS if (one := path / f"verdicts{ending}").exists()] if path.is_dir() else [path]
    if not found:
        raise InputError(f"{path} holds no verdicts.parquet, .csv or .jsonl; run `uncertainty screen` first")
    return found[0]


def folder_of(path: Path) -> Path:
    """Return the output folder of a screening, given it or a table in it.

    >>> folder_of(Path("out/ranking.csv")).as_posix()
    'out'
    """
    return path if path.is_dir() else path.parent


def read_summary(path: Path) -> dict[str, Any]:
    """Return what a screening wrote beside its verdicts, given its folder or a table in it; {} where it is not read."""
    try:
        content = json.loads((folder_of(path) / SUMMARY).read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, _KINDS.get(name, object))}


def input_root(summary: Mapping[str, Any]) -> Path | None:
    """Return where the images were when they were screened; None where the summary does not say."""
    root = summary.get("input_root")
    return Path(root) if isinstance(root, str) else None


def schema(
    classes: Sequence[str],
    estimators: Sequence[str],
    provenance: dict[str, Any],
    quality: Sequence[str] = (),
    more: Collection[str] = (),
) -> pa.Schema:
    """Return the columns and types of a verdict table, in order.

    Of `more`, "effort" is for where it differs from row to row; "suggested" for a likelier class; and where images have
    several labels, "decisions" for p_wrong of the decision on each, FLAGGED_LABELS for those that are flagged.
    """
    import pyarrow as pa

    columns: list[tuple[str, Any]] = [
        ("file_name", pa.string()),
        ("predicted_label", pa.string()),
        ("predicted_index", pa.int32()),
        ("confidence", pa.float32()),
        *(zip(SUGGESTED, (pa.string(), pa.float32()), strict=True) if "suggested" in more else ()),
        ("p_wrong", pa.float32()),
        ("flagged", pa.bool_()),
        *([(FLAGGED_LABELS, pa.string())] if FLAGGED_LABELS in more else []),
        ("threshold", pa.float32()),
        ("rank", pa.int64()),
        ("reasons", pa.list_(pa.string())),
        *([("effort", pa.string())] if "effort" in more else []),
        ("error", pa.string()),
        *((f"est_{name}", pa.float32()) for name in estimators),
        *((f"{QUALITY}{name}", pa.float32()) for name in quality),
        *((name, pa.float32()) for name in wide_names(classes)),
        *([("probs", pa.list_(pa.float32()))] if len(classes) > WIDE_CLASSES else []),
        *(((name, pa.float32()) for name in wide_names(classes, DECISION)) if "decisions" in more else ()),
        *([(DECISIONS, pa.list_(pa.float32()))] if "decisions" in more and len(classes) > WIDE_CLASSES else []),
        ("screen_id", pa.string()),
        ("model_sha256", pa.string()),
    ]
    many = {_CLASSES: json.dumps(list(classes))} if len(classes) > WIDE_CLASSES else {}
    return pa.schema(columns, metadata={_PROVENANCE: json.dumps(provenance, sort_keys=True), **many})


def metadata_of_rows(table: pa.Table) -> dict[str, list[str | None]]:
    """Return the columns of the manifest that a verdict table carries, by their names there.

    >>> import pyarrow as pa
    >>> metadata_of_rows(pa.table({"file_name": ["a.png"], "meta_film": ["f"]}))
    {'film': ['f']}
    """
    names = [name for name in table.column_names if name.startswith(METADATA)]
    return {name.removeprefix(METADATA): table[name].to_pylist() for name in names}


def metadata_table(metadata: Mapping[str, Sequence[str | None]]) -> pa.Table:
    """Return the columns of a manifest as verdicts take them: text, their names behind `METADATA`."""
    import pyarrow as pa

    return pa.table({f"{METADATA}{name}": pa.array(values, pa.string()) for name, values in metadata.items()})


def with_columns(table: pa.Table, columns: pa.Table) -> pa.Table:
    """Return the table with columns added, or replaced where it has one of that name."""
    for name, values in zip(columns.column_names, columns.columns, strict=True):
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def ranks(p_wrong: Any) -> Any:
    """Return (n,) ranks of p_wrong, int32 where they fit: 1 = largest, ties in input order, NaN (unreadable) last.

    >>> import numpy as np
    >>> ranks(np.array([0.2, np.nan, 0.9, 0.2])).tolist()
    [2, 4, 1, 3]
    """
    import numpy as np

    order = np.argsort(np.negative(p_wrong), kind="stable")  # which puts NaN last
    rank = np.empty(len(order), dtype=np.int32 if len(order) < 2**31 else np.int64)
    rank[order] = np.arange(1, len(order) + 1, dtype=rank.dtype)
    return rank


def ranked(table: pa.Table) -> pa.Table:
    """Fill the column `rank` by `ranks`."""
    import pyarrow as pa

    rank = pa.array(ranks(table["p_wrong"].to_numpy(zero_copy_only=False)), pa.int64())
    return table.set_column(table.column_names.index("rank"), table.schema.field("rank"), rank)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, CSV or JSON lines, by the ending of `path`."""
    write_batches(table.schema, table.to_batches(max_chunksize=_ROWS_AT_ONCE), path)


def csv_text(table: pa.Table) -> str:
    """Return what `write_table` writes into a CSV file."""
    _write_csv(table.schema, table.to_batches(max_chunksize=_ROWS_AT_ONCE), text := io.StringIO(newline=""))
    return text.getvalue()


def write_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path) -> None:
    """Write a table batch by batch, so that memory stays flat; nothing appears at `path` before all is written."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path.name} ends in {path.suffix!r}; write to one of {', '.join(FORMATS)}")
    with replacing(path, binary=path.suffix == ".parquet") as file:
        if path.suffix == ".parquet":
            _write_parquet(schema, batches, file)
        elif path.suffix == ".csv":
            _write_csv(schema, batches, file)
        else:
            _write_jsonl(batches, file)


def _write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[str]) -> None:
    writer = csv.writer(file)
    writer.writerow([cell(name) for name in schema.names])
    for batch in batches:
        writer.writerows(zip(*(cells(column.to_pylist()) for column in batch.columns), strict=True))


def _write_jsonl(batches: Iterable[pa.RecordBatch], file: IO[str]) -> None:
    for batch in batches:
        for row in batch.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_table(path: Path) -> pa.Table:
    """Read a table that `write_table` wrote; reasons and types come back as they were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise InputError(f"{path} does not exist; run `uncertainty screen` first")
    if path.suffix not in FORMATS:
        raise InputError(f"{path.name} ends in {path.suffix!r}; a table ends in one of {', '.join(FORMATS)}")
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            table.validate(full=True)
        else:
            table = _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)
        if not all(table.column_names):  # read here, since one that is no text raises
            raise ValueError("a column has no name")
        return table
    except (pa.ArrowException, csv.Error, OSError, ValueError, RecursionError, OverflowError) as error:
        raise InputError(f"{path} is not a readable table: {in_one_line(error)}") from error


def _read_csv(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with path.open(encoding="utf-8", newline="") as file:
        types = _types(next(csv.reader(file), []))
    lists = [name for name, kind in types.items() if pa.types.is_list(kind)]
    convert = arrow_csv.ConvertOptions(
        column_types=types | dict.fromkeys(lists, pa.string()),
        null_values=[""],  # a class may well be called "NA" or "null"
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    read = arrow_csv.ReadOptions(block_size=_LONGEST_ROW)
    table = arrow_csv.read_csv(path, read, parse, convert)
    for name, kind in types.items():
        if pa.types.is_string(kind) or name in lists:
            column = pa.array([_parsed(text, name) for text in table[name].to_pylist()], kind)
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _parsed(text: str | None, name: str) -> Any:
    """Undo `cell` for text and lists; an empty cell is a null, but for what there may be none of."""
    text = text and uncelled(text)
    if name in ("probs", DECISIONS):
        return [float(number) for number in text.split(";")] if text else None
    if name in ("reasons", "duplicates"):
        return text.split(";") if text else []
    return text


def _read_jsonl(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    with path.open(encoding="utf-8", newline="\n") as file:
        first = json.loads(file.readline())
    if not isinstance(first, dict):
        raise ValueError("its first line is no JSON object")
    # Types must be told: a class called "2026-01-01" would come back as a time.
    parse = arrow_json.ParseOptions(explicit_schema=pa.schema(list(_types(list(first)).items())))
    return arrow_json.read_json(path, arrow_json.ReadOptions(block_size=_LONGEST_ROW), parse)


def _types(names: Sequence[str]) -> dict[str, Any]:
    """Types of the columns that a table of verdicts may have, among these names."""
    import pyarrow as pa

    known = {field.name: field.type for field in schema([], [], {}, more=("effort", "suggested", FLAGGED_LABELS))}
    known |= {"probs": pa.list_(pa.float32()), DECISIONS: pa.list_(pa.float32())}
    known |= dict.fromkeys(("label", "doubtful_labels", "group", "drawn_by"), pa.string())
    known |= {"correct": pa.bool_(), "duplicates": pa.list_(pa.string())}
    for name in names:
        if name.startswith(("est_", "prob_", DECISION, QUALITY)):
            known[name] = pa.float32()
        elif name.startswith(METADATA):
            known[name] = pa.string()
    return {name: known[name] for name in names if name in known}
