"""Tables that name images, one row each: CSV, JSON lines or Parquet with `file_name` and optional `label`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.groups import APART, Grouping
from uncertainty.images.label_text import JOINT, joined, of_row
from uncertainty.images.packed_text import Coder, Packer, double
from uncertainty.images.remote import AnyFile, is_url
from uncertainty.images.table_rows import MANIFEST_SUFFIXES, columns_of, quoted, rows_of, shown, told

NAME_COLUMNS = (
    *("file_name", "filepath", "filename", "path", "image"),
    *("image_name", "image_path", "file_path", "file", "img", "img_path"),
)
LABEL_COLUMN = "label"
LABEL_COLUMNS = (LABEL_COLUMN, "class", "label_name", "class_name", "category")
SPLIT_COLUMNS = ("split", "subset", "ml_use")

__all__ = [
    "MANIFEST_SUFFIXES",
    "USUAL",
    "Columns",
    "Grouping",
    "Label",
    "Manifest",
    "as_text",
    "check_unique",
    "name_column",
    "posix",
    "quoted",
    "read_manifest",
]

Label = str | int | None
_JSON = (bool, int, float, list, dict)
_WHOLE = 2**53


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called where they are not called as usual; None: as usual.

    `split` is the part of a data set to take, such as "val", where a column, folders or files are called so;
    `grouping` tells which images belong together. `separator` is what stands between several labels of one cell;
    `several`: rows, or class folders, that name one image again give it one more label each.
    """

    name: str | None = None
    label: str | None = None
    split: str | None = None
    grouping: Grouping = APART
    separator: str = JOINT
    several: bool = False


USUAL = Columns()


@dataclass(frozen=True)
class Manifest:
    """Names in POSIX form in the table's order, their labels (None: no such column), and the columns it has.

    `metadata` are all other columns as text, None where a cell is empty; `splits` is the one of them that says which
    part of a data set an image belongs to. All are packed, see `packed_text`. `notes` are what a reader should know.
    """

    names: Sequence[str]
    labels: Sequence[Label] | None
    columns: tuple[str, ...]
    metadata: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    notes: tuple[str, ...] = ()


def read_manifest(path: AnyFile, columns: Columns = USUAL) -> Manifest:
    """Read the file names of a table, and its labels where it has them; a few rows are in memory at a time.

    The name column is the first present of NAME_COLUMNS, the label column of LABEL_COLUMNS, unless `columns` say
    otherwise. CSV is UTF-8 (a byte order mark is fine), separated by commas, and its labels stay strings: "01" is not
    1. Cells are trimmed, empty labels become None, and several labels of one image (a list, text that is one in JSON,
    or text with the separator) are one text, see `label_text`: an empty list is `(no label)`. Images may be named by
    URL.

    Raises InputError, naming the file and where possible the row: no such file, a damaged table, no name column (the
    columns found are quoted), two columns of one name, a row without a name, a label that is neither a name nor an
    index, or no rows.
    """
    with told(path):
        found = columns_of(path)
        named, label_column = name_column(columns, found, path), _label_column(columns, found, path)
        labels: Coder[Label] | None = None if label_column is None else Coder()
        names: Packer[str] = Packer()
        others = _Others([name for name in found if name and name not in (named, label_column)])
        for i, row in enumerate(rows_of(path, (named, label_column or ""))):
            names.append(_name(row.get(named), path, i))
            others.add(row, i)
            if labels is not None:
                labels.append(_label(row.get(label_column or ""), path, i, columns.separator))
    packed = names.packed()
    if not packed:
        raise InputError(f"{path} has no rows; it must name at least one image")
    notes: tuple[str, ...] = (
        () if label_column in (None, LABEL_COLUMN, columns.label) else (f"labels are the column {label_column!r}",)
    )
    notes += ("a column without a name was left out",) * ("" in found)
    metadata = others.packed()
    split = next((name for name in metadata if name.lower() in SPLIT_COLUMNS), None)
    return Manifest(
        packed,
        None if labels is None else labels.packed(),
        found,
        metadata,
        None if split is None else metadata[split],
        notes,
    )


def name_column(columns: Columns, found: Sequence[str], path: AnyFile) -> str:
    """Return the column of file names: the one asked for, or the first that is called as usual; InputError for none."""
    if columns.name is not None:
        return _asked(columns.name, found, path)
    if (name := _first_of(NAME_COLUMNS, found)) is None:
        advice = f"(or {', '.join(NAME_COLUMNS[1:5])}); it has {quoted(found)}; say which with --name-column"
        raise InputError(f"{path} has no column file_name {advice}")
    return name


def _label_column(columns: Columns, found: Sequence[str], path: AnyFile) -> str | None:
    if columns.label is not None:
        return _asked(columns.label, found, path)
    if LABEL_COLUMN in found:
        return LABEL_COLUMN
    likely = [name for name in found if name.lower() in LABEL_COLUMNS]
    if len(likely) > 1:
        raise InputError(f"{path} has the columns {quoted(likely)}; say which are the labels with --label-column")
    return likely[0] if likely else None


def _asked(name: str, found: Sequence[str], path: AnyFile) -> str:
    if name not in found:
        raise InputError(f"{path} has no column {name!r}; it has {quoted(found)}")
    return name


def _first_of(usual: Sequence[str], found: Sequence[str]) -> str | None:
    """Return the first usual name that is there, in its own letters or in others."""
    lower = {name.lower(): name for name in reversed(found)}
    return next((name if name in found else lower[name] for name in usual if name in lower), None)


class _Others:
    """The other columns on their way: those that are read, and hold no bytes, which nobody sorts by."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._wanted = list(columns)
        self._packers: dict[str, Packer[str | None]] = {}

    def add(self, row: Mapping[str, Any], i: int) -> None:
        for name in list(self._wanted):
            if isinstance(row.get(name), bytes):
                self._wanted.remove(name)
                self._packers.pop(name, None)
                continue
            if name in row and name not in self._packers:
                self._packers[name] = Packer(absent=i)
            if name in self._packers:
                self._packers[name].append(as_text(row.get(name)))

    def packed(self) -> dict[str, Sequence[str | None]]:
        return {name: self._packers[name].packed() for name in self._wanted if name in self._packers}


def as_text(value: Any) -> str | None:
    """Return a cell of a table as text: whole floats as integers, nothing, "" and NaN as None, the rest as JSON has it.

    >>> as_text(3.0), as_text("roof"), as_text(True), as_text(float("nan")), as_text(["a", 1])
    ('3', 'roof', 'true', None, '["a", 1]')
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        value = int(value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, _JSON) else str(value)


def check_unique(names: Sequence[str], where: AnyFile, hint: str = "") -> None:
    """Raise InputError naming the first name that occurs twice."""
    if (name := double(names)) is not None:
        raise InputError(f"{where} names {name!r} more than once; each image must be named once{hint}")


def _name(value: Any, path: AnyFile, row: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}, row {row + 1}, has {shown(value)} where a file name belongs")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}, row {row + 1}, has the file name {value!r}, which is not valid Unicode") from error
    return posix(value.strip())


def posix(name: str) -> str:
    """Return a path with single slashes and no dots in between; `..` stays, and so does a URL.

    >>> posix("a/b.png"), posix("./a//b.png"), posix("../a/./b.png"), posix("s3://a/b.png")
    ('a/b.png', 'a/b.png', '../a/b.png', 's3://a/b.png')
    """
    # pathlib interns the parts of every path, in a table that grows with the images.
    plain = os.sep == "/" and not ("//" in name or "/./" in name or name.startswith("./") or name.endswith(("/", "/.")))
    return name if plain or is_url(name) else PurePath(name).as_posix()


def _label(value: Any, path: AnyFile, row: int, separator: str = JOINT) -> Label:
    # Tables made by pandas hold integers with gaps as floats, NaN in the gaps.
    if isinstance(value, float) and (math.isnan(value) or value.is_integer()):
        value = None if math.isnan(value) else int(value)
    if isinstance(value, str):
        value = value.strip()
        value = _listed(value) if value[:1] in ("[", "{") else _separated(value, separator)
    if isinstance(value, list) and all(one is None or isinstance(one, str | int | float) for one in value):
        value = _members(value, path, row)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{path}, row {row + 1}, has the label {shown(value)}; a label is a class name or an index")
    return value


def _separated(text: str, separator: str) -> str:
    """Return a cell with its labels joined as everywhere; a sign that stands for none of them stays.

    >>> _separated("cat | dog", "|"), _separated("|", "|"), _separated("cat", ";")
    ('cat;dog', '(no label)', 'cat')
    """
    if separator == JOINT or separator not in text:
        return text
    return joined(name for part in text.split(separator) if (name := part.strip()))


def _members(values: list[Any], path: AnyFile, row: int) -> str | None:
    """Return the labels in a list as one text: names or positions, or one answer a class, 1, 0 or none."""
    if len(values) > 1 and all(one in (None, 0, 1, -1, "0", "1", "-1") or one != one for one in values):
        if len(values) == 2 and {str(one) for one in values} == {"0", "1"}:
            raise InputError(
                f"{path}, row {row + 1}, has the label {values}: two classes, or zeros and ones? Write class names"
            )
        return of_row(values)
    if odd := next((one for one in values if isinstance(one, float) and not one.is_integer()), None):
        raise InputError(f"{path}, row {row + 1}, has {odd!r} among its labels; a label is a class name or an index")
    return joined(_member(one) for one in values if one is not None and one != "")


def _member(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) else str(value).strip()


def _listed(text: str) -> Any:
    """Return the labels of a cell that holds a list in JSON, as Label Studio writes several choices; else the cell.

    >>> _listed('["cat", "dog"]'), _listed('{"choices": ["cat"]}'), _listed("[sic]")
    (['cat', 'dog'], ['cat'], '[sic]')
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    value = value.get("choices") if isinstance(value, dict) else value
    return value if isinstance(value, list) else text
