"""Whether a table that is read back can be verdicts: types, names each of its own, numbers in their range."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.errors import InputError, in_one_line

if TYPE_CHECKING:
    import pyarrow as pa

_SHARES = ("p_wrong", "confidence", "suggested_probability")
_ROUNDING = 1e-3  # of probabilities in half precision
_MAPPINGS = ("calibrated_on", "policy", "usual_quality")


def checked(table: pa.Table, path: Path, types: Mapping[str, Any], classes: Sequence[str] | None) -> pa.Table:
    """Return the table with columns of their types; InputError, naming the file, for what no screening writes.

    `types` are those of the columns that are known, `classes` the names in the order of `predicted_index`.
    """
    import pyarrow as pa

    try:
        table = _typed(table, types)
        wrong = next(_wrong(table, classes), None)
    except (pa.ArrowException, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path} holds no verdicts: {in_one_line(error)}; run `uncertainty screen` again") from error
    if wrong is not None:
        raise InputError(f"{path} was changed or damaged: {wrong}; run `uncertainty screen` again")
    return table


def metadata(raw: bytes | None, path: str, kind: type) -> Any:
    """Return what the metadata of a table say in JSON, None where they say nothing; InputError for another kind."""
    if not raw:
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the metadata of {path} are no JSON ({in_one_line(error)}); run `uncertainty screen` again"
        ) from error
    if not isinstance(found, kind):
        raise InputError(f"the metadata of {path} are {type(found).__name__}; run `uncertainty screen` again")
    return found


def with_provenance(table: pa.Table, key: bytes, told: Any) -> pa.Table:
    """Return a table with what a summary told as its metadata under a key, unless it has its own, or none was told.

    Raises InputError as `provenance` does.
    """
    own = table.schema.metadata or {}
    if key not in own and told is not None:
        own = {**own, key: json.dumps(told, sort_keys=True).encode()}
        table = table.replace_schema_metadata(own)
    provenance(own.get(key))
    return table


def provenance(raw: bytes | None) -> dict[str, Any]:
    """Return what a table says that it rests on, {} where it does not; InputError where that can't be."""
    found: dict[str, Any] = metadata(raw, "the verdicts", dict) or {}
    odd = next((name for name in _MAPPINGS if not isinstance(found.get(name, {}), dict)), None)
    if odd is not None:
        raise InputError(f"the metadata of the verdicts have {found[odd]!r} as {odd!r}; run `uncertainty screen` again")
    return found


def _typed(table: pa.Table, types: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two columns are called {twice[0]!r}")
    for name, kind in types.items():
        k = names.index(name)
        if table.field(k).type != kind:
            try:
                table = table.set_column(k, name, table.column(k).cast(kind))
            except pa.ArrowException as error:
                raise ValueError(f"the column {name!r} is {table.field(k).type}: {in_one_line(error)}") from error
    return table


def _wrong(table: pa.Table, classes: Sequence[str] | None) -> Iterator[str]:
    import pyarrow.compute as pc

    names = table["file_name"]
    if names.null_count or len(names.unique()) < len(names):
        yield "a file name is missing, or is there twice"
    if table["flagged"].null_count:
        yield "the column 'flagged' has gaps"
    for name in table.column_names:
        if name in _SHARES or name.startswith(("prob_", "p_wrong_")):
            yield from _outside(name, pc.drop_null(table[name]), 1 if name.startswith("p_wrong") else 1 + _ROUNDING)
        elif name == "threshold":
            yield from _outside(name, pc.drop_null(table[name]), 1 + _ROUNDING)
    if "error" in table.column_names and pc.any(pc.and_(table["error"].is_null(), table["p_wrong"].is_null())).as_py():
        yield "an image has neither p_wrong nor an error"
    if classes is not None and {"predicted_index", "predicted_label"} <= set(table.column_names):
        yield from _predicted(table, classes)


def _outside(name: str, values: Any, most: float) -> Iterator[str]:
    import pyarrow.compute as pc

    if not pc.all(pc.is_finite(values)).as_py() and len(values):
        yield f"the column {name!r} has values that are not finite"
        return
    low, high = pc.min_max(values).as_py().values()
    if len(values) and (low < 0 or high > most):
        yield f"the column {name!r} goes from {low:.4g} to {high:.4g}; it must lie in 0..1"


def _predicted(table: pa.Table, classes: Sequence[str]) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table.select(["predicted_index", "predicted_label"]).filter(table["predicted_index"].is_valid())
    index = rows["predicted_index"]
    low, high = pc.min_max(index).as_py().values()
    if len(rows) and not 0 <= low <= high < len(classes):
        yield f"predicted_index goes from {low} to {high}, and there are {len(classes)} classes"
        return
    expected = pa.array(list(classes), pa.string()).take(index.combine_chunks())
    if len(rows) and not pc.all(pc.equal(expected, rows["predicted_label"].combine_chunks())).as_py():
        yield "a predicted_label is not the class of its predicted_index"
