"""From which probability on each label is given: numbers in the order of the classes, or by their names, or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from uncertainty.checks.csv_cells import uncelled
from uncertainty.errors import InputError, ModelError
from uncertainty.images.table_rows import columns_of, rows_of, told
from uncertainty.outputs import Task

Thresholds = Sequence[float] | Mapping[str, float]
_SUFFIXES = (".json", ".csv")
_COLUMNS = ("class", "threshold")


def read_thresholds(text: str) -> Thresholds:
    """Return what `decision=` says: numbers with commas between, or a file {class: threshold}, .json or .csv.

    Raises ModelError for anything else, and for numbers that are no probabilities between 0 and 1.

    >>> read_thresholds("0.4,0.5")
    (0.4, 0.5)
    """
    if text.lower().endswith(_SUFFIXES):
        return _from_file(Path(text))
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError as error:
        raise ModelError(
            f"decision is {text!r}; give numbers between 0 and 1 in the order of the classes, such as 0.4,0.5, or a "
            "file of {class: threshold}, .json or .csv"
        ) from error


def in_order(thresholds: Thresholds, classes: Sequence[str]) -> tuple[float, ...]:
    """Return one threshold for each class; one number alone is that of all.

    Raises ModelError where they are not as many, are not between 0 and 1, or name a class that is not there.

    >>> in_order({"dog": 0.3, "cat": 0.5}, ["cat", "dog"]), in_order([0.4], ["cat", "dog"])
    ((0.5, 0.3), (0.4, 0.4))
    """
    if isinstance(thresholds, Mapping):
        named = {str(name): value for name, value in thresholds.items()}
        if strange := [name for name in named if name not in classes]:
            raise ModelError(f"decision names {strange[0]!r}, which is none of the {len(classes)} classes")
        if missing := [name for name in classes if name not in named]:
            raise ModelError(f"decision has no threshold for the class {missing[0]!r}; give one for each class")
        thresholds = [named[name] for name in classes]
    values = tuple(map(_number, thresholds))
    values = values * len(classes) if len(values) == 1 else values
    if len(values) != len(classes):
        raise ModelError(f"decision has {len(values)} thresholds for {len(classes)} classes; give one for each, or one")
    if odd := next(((k, t) for k, t in enumerate(values) if not 0 < t < 1), None):
        raise ModelError(
            f"the decision threshold of {classes[odd[0]]!r} is {odd[1]:g}; it must lie between 0 and 1, neither of "
            "them: a label is given where its probability reaches it"
        )
    return values


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ModelError(f"a decision threshold is {value!r}; it must be a number between 0 and 1") from error


def _from_file(path: Path) -> Thresholds:
    try:
        found: Any = _rows(path) if path.suffix.lower() == ".csv" else json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ModelError(f"decision={path} can't be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"decision={path} is no file of thresholds ({error})") from error
    if not isinstance(found, dict | list) or not found:
        raise ModelError(f"decision={path} must hold {{class: threshold}}; it holds {type(found).__name__}")
    return cast(Thresholds, found)


def _rows(path: Path) -> dict[str, str]:
    try:
        with told(path):
            columns, rows = columns_of(path), list(rows_of(path))
    except InputError as error:
        raise ModelError(f"decision={error}") from error
    if not set(_COLUMNS) <= set(columns):
        shown = ", ".join(map(repr, columns)) or "no columns"
        raise ModelError(f"decision={path} must have the columns class and threshold; it has {shown}")
    named: dict[str, str] = {}
    for row in rows:
        name = uncelled(row["class"]).strip()
        if name in named:
            raise ModelError(f"decision={path} has the class {name!r} twice; keep one threshold")
        named[name] = row["threshold"]
    return named


def checked_thresholds(thresholds: Thresholds | None, names: Sequence[str], task: Task) -> tuple[float, ...] | None:
    """Return a threshold for each class; None where the usual ones are meant."""
    if task not in ("multiclass", "multilabel"):
        raise ModelError(f"task is {task!r}; it must be 'multiclass' or 'multilabel'")
    if task == "multiclass" and len(names) == 1:
        raise ModelError(
            "the model has one output; for a yes-or-no answer of two classes say binary=true, for one label that "
            "may be there or not task=multilabel"
        )
    if thresholds is None:
        return None
    if task == "multiclass":
        raise ModelError("decision thresholds are for several labels an image; say task=multilabel, or leave them out")
    return in_order(thresholds, names)
