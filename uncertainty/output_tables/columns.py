"""Which columns of a table hold what: by their names, never by their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uncertainty.errors import InputError
from uncertainty.images.manifests import LABEL_COLUMNS, NAME_COLUMNS, Columns
from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.images.table_rows import quoted
from uncertainty.output_tables.files import TableFile
from uncertainty.output_tables.spec import MORE, TableSpec

Output = Literal["logits", "probabilities"]
_NAMES = (*NAME_COLUMNS, "name", "names", "id", "ids")
_LABELS = (*LABEL_COLUMNS, "labels")
_GROUPS = ("group", "groups")
_LISTS: dict[Output, tuple[str, ...]] = {"logits": ("logits",), "probabilities": ("probabilities", "probs")}
_PREFIXES: dict[Output, str] = {"logits": "logit_", "probabilities": "prob_"}
_NUMBERED = ("features", "embedding")
_QUALITY = "quality_"


@dataclass(frozen=True)
class Meaning:
    """What the columns of one table are.

    Parameters
    ----------
    name, label, group : columns; None where there is none.
    output : what the model's answers are.
    answers : the column of lists that holds them, or one column for each class.
    classes : their names; None where neither columns nor file say them.
    more : columns by what else of `ModelOutputs` they hold: one with lists, or several with a number each.
    metadata : all others that hold one value each.

    """

    name: str
    label: str | None
    group: str | None
    output: Output
    answers: tuple[str, ...]
    classes: tuple[str, ...] | None
    more: Mapping[str, tuple[str, ...]]
    metadata: tuple[str, ...]

    @property
    def arrays(self) -> tuple[str, ...]:
        """All columns that hold numbers of the model."""
        return (*self.answers, *(name for names in self.more.values() for name in names))


def meaning_of(file: TableFile, spec: TableSpec, columns: Columns) -> Meaning:
    """Say what each column is; InputError where names or answers are not found, or are found twice."""
    asked = {**spec.columns, **_given(columns)}
    if absent := [name for name in asked.values() if name not in file.columns]:
        raise InputError(f"{file.path} has no column {absent[0]!r}; it has {quoted(file.columns[:20])}")
    name = asked.get("name") or _usual(_NAMES, file)
    if name is None:
        raise InputError(
            f"{file.path} has no column name or file_name that says which image a row is of; it has "
            f"{quoted(file.columns[:20])}; say which with ?name=COLUMN"
        )
    output, answers, classes = _answers(file, asked)
    more = {kind: found for kind in MORE if (found := _further(kind, file, asked))}
    label, group = (asked.get(kind) or _usual(usual, file) for kind, usual in (("label", _LABELS), ("group", _GROUPS)))
    used = {name, label, *answers, *(one for found in more.values() for one in found)}
    metadata = tuple(one for one in file.columns if one and one not in used and one not in file.lists)
    return Meaning(name, label, group, output, answers, spec.classes or classes, more, metadata)


def _given(columns: Columns) -> dict[str, str]:
    asked = {"name": columns.name, "label": columns.label, "group": columns.grouping.column}
    return {kind: name for kind, name in asked.items() if name is not None}


def _usual(names: Sequence[str], file: TableFile) -> str | None:
    lower = {name.lower(): name for name in reversed(file.columns)}
    return next((name if name in file.columns else lower[name] for name in names if name in lower), None)


def _answers(file: TableFile, asked: Mapping[str, str]) -> tuple[Output, tuple[str, ...], tuple[str, ...] | None]:
    """Return what the answers are, where they stand, and the names of the classes where these say them."""
    found: list[tuple[Output, tuple[str, ...], tuple[str, ...] | None]] = []
    for output, usual in _LISTS.items():
        if output in asked:
            return output, (asked[output],), file.classes
        prefix = _PREFIXES[output]
        found += [(output, (one,), file.classes) for one in usual if one in file.columns]
        if each := tuple(one for one in file.columns if one.startswith(prefix) and one not in file.lists):
            found.append((output, each, tuple(one.removeprefix(prefix) for one in each)))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{file.path} holds neither probabilities (columns prob_<class>, or lists in 'probabilities') nor logits "
            f"(logit_<class>, or 'logits'); it has {quoted(file.columns[:20])}"
        )
    (first, *_), (second, *_) = found[0][1], found[1][1]
    raise InputError(
        f"{file.path} has {first!r} and {second!r}; say which are the model's answers: ?logits=COLUMN or "
        "?probabilities=COLUMN for lists, or leave one kind out"
    )


def _further(kind: str, file: TableFile, asked: Mapping[str, str]) -> tuple[str, ...]:
    if kind in asked:
        return (asked[kind],)
    if kind in file.columns:
        return (kind,)
    if kind == "quality":
        each = tuple(_QUALITY + name for name in QUALITY_NAMES)
        return each if set(each) <= set(file.columns) else ()
    if kind not in _NUMBERED:
        return ()
    pattern = re.compile(rf"{kind.removesuffix('s')}s?_(\d+)")
    numbered = [(int(match[1]), one) for one in file.columns if (match := pattern.fullmatch(one))]
    return tuple(one for _, one in sorted(numbered))
