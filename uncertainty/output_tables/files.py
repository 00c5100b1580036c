"""What every kind of table gives its reader: the names of its columns, and its rows a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from uncertainty.images.remote import AnyFile
from uncertainty.output_tables.csv_file import CsvFile
from uncertainty.output_tables.npz_file import NpzFile
from uncertainty.output_tables.parquet_file import ParquetFile


class TableFile(Protocol):
    """A table on disk.

    `lists` are those of `columns` whose cells hold several numbers, `classes` the class names that the file itself
    says, None where it says none.
    """

    @property
    def path(self) -> AnyFile: ...  # noqa: D102

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def lists(self) -> frozenset[str]: ...  # noqa: D102

    @property
    def classes(self) -> tuple[str, ...] | None: ...  # noqa: D102

    def chunks(self, columns: Sequence[str], start: int, size: int) -> Iterator[dict[str, Any]]:
        """Yield so many rows at once, from row `start` on, by column: an array of numbers (n, …), or a list of cells.

        The last chunk may be short. A cell that says nothing is None or NaN.
        """


def opened_table(path: AnyFile) -> TableFile:
    """Look into a table; InputError where it can't be read."""
    kinds: dict[str, Callable[[AnyFile], TableFile]]
    kinds = {".parquet": ParquetFile.of, ".csv": CsvFile.of, ".npz": NpzFile.of}
    return kinds[path.suffix.lower()](path)
