"""A table of outputs in CSV: one column a number, or lists in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from uncertainty.images.remote import AnyFile
from uncertainty.images.table_rows import columns_of, rows_of, told


@dataclass(frozen=True)
class CsvFile:
    """A CSV file; cells stay text, but for lists in JSON."""

    path: AnyFile
    columns: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    classes: tuple[str, ...] | None = None

    @classmethod
    def of(cls, path: AnyFile) -> CsvFile:
        """Read the header, and from the first row which columns hold lists."""
        with told(path):
            columns = columns_of(path)
            first = next(iter(rows_of(path)), {})
        return cls(path, columns, frozenset(name for name, cell in first.items() if isinstance(_cell(cell), list)))

    def chunks(self, columns: Sequence[str], start: int, size: int) -> Iterator[dict[str, Any]]:
        """Yield rows as `TableFile` says."""
        with told(self.path):
            rows = islice(rows_of(self.path), start, None)
            while some := list(islice(rows, size)):
                yield {name: [_cell(row[name]) for row in some] for name in columns}


def _cell(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return text.strip() or None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
