"""A file or folder of labels, looked at just enough to tell what wrote it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.manifests import USUAL, Columns

_HEAD = 1 << 16


@dataclass(frozen=True)
class Source:
    """Where labels are, and what their columns are called where that was said."""

    path: Path
    columns: Columns = USUAL

    @property
    def suffix(self) -> str:
        """The ending of its name in small letters; "" for a folder."""
        return "" if self.path.is_dir() else self.path.suffix.lower()

    @cached_property
    def head(self) -> str:
        """The beginning of the file as text; "" for a folder."""
        if self.path.is_dir():
            return ""
        try:
            with open(self.path, "rb") as file:
                return file.read(_HEAD).decode("utf-8-sig", "replace")
        except OSError as error:
            raise InputError(f"{self.path} can't be read ({error.strerror or error})") from error

    @cached_property
    def first_rows(self) -> list[list[str]]:
        """The first rows of a CSV, cells trimmed, the last one perhaps cut off."""
        try:
            return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(self.head, newline=""))]
        except csv.Error:
            return []

    @property
    def header(self) -> list[str]:
        """The first row of a CSV."""
        return self.first_rows[0] if self.suffix == ".csv" and self.first_rows else []

    @cached_property
    def first_line(self) -> dict[str, Any]:
        """The object in the first line of JSON lines; {} where there is none."""
        line = next((line for line in self.head.splitlines() if line.strip()), "")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def json(self) -> Any:
        """The content of a JSON file; InputError where it is none."""
        try:
            return json.loads(self.path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} is not UTF-8 text (byte {error.start}); export it again") from error
        except OSError as error:
            raise InputError(f"{self.path} can't be read ({error.strerror or error})") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path} is not valid JSON ({error})") from error

    def lines(self) -> list[dict[str, Any]]:
        """Return the objects of JSON lines; InputError, naming the line, for one that is none."""
        rows = []
        try:
            with open(self.path, encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        rows.append(_object(line, self.path, number))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path} can't be read ({error})") from error
        return rows


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}, is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}, line {number}, is not a JSON object")
    return found
