"""Every kind of table, each with the names of its columns, and its rows a few at a time."""

from __future__ import annotations

from collections.abc import Callable

from uncertainty.images.remote import AnyFile
from uncertainty.output_tables.csv_file import CsvFile
from uncertainty.output_tables.npz_file import NpzFile
from uncertainty.output_tables.parquet_file import ParquetFile

TableFile = ParquetFile | CsvFile | NpzFile
"""Each has `path`; `columns`; `lists`, those whose cells hold several numbers; `classes`, the names that the file says,
or None. `chunks(columns, start, size)` yields so many rows at once, from row `start` on, by column: an array of numbers
(n, …), or a list of cells. The last chunk may be short; a cell that says nothing is None or NaN."""


def opened_table(path: AnyFile) -> TableFile:
    """Look into a table; InputError where it can't be read."""
    kinds: dict[str, Callable[[AnyFile], TableFile]]
    kinds = {".parquet": ParquetFile.of, ".csv": CsvFile.of, ".npz": NpzFile.of}
    return kinds[path.suffix.lower()](path)
