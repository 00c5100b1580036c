"""A table of rows as people use it from Python: columns by name, rows by position, pandas, a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from uncertainty.brief import Brief, shortened
from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.figures import probability

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 10
_ROWS_AT_ONCE = 1024


class Tabular(Brief):
    """Gives a class with a pyarrow `table` its length, columns, rows and looks.

    `len(x)` are its rows, `for row in x` gives them as dictionaries, `x["p_wrong"]` is a column, `x[0]` a row, `x[:3]`
    some rows.
    """

    __slots__ = ()
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.table.to_batches(max_chunksize=_ROWS_AT_ONCE):
            yield from batch.to_pylist()

    def __getitem__(self, key: str | int | slice) -> Any:
        """Return a column by its name, as a NumPy array (lists and text as a list), a row by its position, or rows."""
        import numpy as np

        if isinstance(key, str):
            return column_of(self.table, key)
        if isinstance(key, slice):
            return self._of_rows(self.table.take(np.arange(len(self))[key]))
        if not hasattr(key, "__index__"):
            raise InputError(
                f"[{key!r}] is no column, row or slice; give a name, a position or [:3], or filter .table, of pyarrow"
            )
        if not -len(self) <= key < len(self):
            raise IndexError(f"row {key} is not among {len(self)}")
        return self.table.slice(key % len(self), 1).to_pylist()[0]

    def _of_rows(self, table: pa.Table) -> Any:
        """Return some of the rows, as a list of dictionaries: what else an object says is of all of them."""
        return table.to_pylist()

    def _repr_html_(self) -> str:
        return html_table(self.table.slice(0, SHOWN).to_pylist(), f"{len(self)} rows; the first {SHOWN}")

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with the same columns; needs pandas."""
        return frame_of(self.table)


def column_of(table: pa.Table, name: str) -> Any:
    """Return a column: numbers and truth values as (n,) NumPy array, NaN where there is none; all else as a list."""
    import numpy as np
    import pyarrow as pa

    if name not in table.column_names:
        raise InputError(f"there is no column {name!r}; the columns are {', '.join(table.column_names)}")
    kind = table.schema.field(name).type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return np.asarray(table[name].to_numpy())
    return table[name].to_pylist()


def frame_of(table: pa.Table) -> Any:
    """Return a pandas.DataFrame of a table."""
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("to_pandas needs pandas; pip install pandas, or use .table, of pyarrow") from error
    return table.to_pandas()


def html_table(rows: Sequence[Mapping[str, Any]], caption: str, pictures: Mapping[int, str] | None = None) -> str:
    """Return rows as a table of HTML, all of it escaped; `pictures` are URIs by the row's position.

    >>> html_table([{"a": "<b>"}], "x")
    '<table><caption>x</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(name)}</th>" for name in ([""] if pictures else []) + names)
    lines = []
    for position, row in enumerate(rows):
        picture = "" if not pictures else f"<td>{_picture(pictures.get(position))}</td>"
        cells = "".join(f"<td>{escape(_cell(row[name]))}</td>" for name in names)
        lines.append(f"<tr>{picture}{cells}</tr>")
    top = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"


def _picture(uri: str | None) -> str:
    return "" if uri is None else f'<img src="{escape(uri)}" alt="" width="64">'


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return probability(value) if isinstance(value, float) else shortened(value, quoted=False)
