"""`table:FILE?key=value&…`: which table, and what its columns are called where they are not called as usual.

name, label, group : the columns with the names of the images, their labels, and what belongs together.
probabilities, logits : the column of lists (the array of an .npz) that holds them, where it is called otherwise.
features, embedding, quality, mc_probs, mc_logits, tta_probs, tta_logits : the same for what else `ModelOutputs` has.
classes : class names in the order of the outputs: a .txt or .json file, or names with commas between.
task : multilabel, where an image may have several labels.
decision : from which probability on each label is given, as in a model spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from uncertainty.errors import InputError
from uncertainty.images.remote import AnyFile, located
from uncertainty.outputs import Task

PREFIX = "table:"
SUFFIXES = (".parquet", ".csv", ".npz")
ANSWERS = ("logits", "probabilities")
MORE = ("features", "embedding", "quality", "mc_probs", "mc_logits", "tta_probs", "tta_logits")
_MORE = ("classes", "task", "decision")
_KEYS = ("name", "label", "group", *ANSWERS, *MORE)


@dataclass(frozen=True)
class TableSpec:
    """A table as it is asked for; `columns` are the names of columns by what they hold."""

    file: AnyFile
    columns: Mapping[str, str]
    classes: tuple[str, ...] | None
    task: Task
    decision: str | None = None


def is_table(given: Any) -> bool:
    """Whether a path, as it was given, is that of a table of outputs.

    >>> is_table("table:val.parquet"), is_table("val.parquet"), is_table(None)
    (True, False, False)
    """
    return given is not None and not isinstance(given, bytes) and str(given).startswith(PREFIX)


def read_spec(text: str) -> TableSpec:
    """Take a spec apart; InputError for a file that is no table or not there, and for unknown keys.

    >>> read_spec("table:val.parquet?probabilities=scores")
    Traceback (most recent call last):
    uncertainty.errors.InputError: val.parquet does not exist; give a table of outputs
    """
    name, _, query = text.removeprefix(PREFIX).partition("?")
    file = located(name)
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"{name or text!r} is no table of outputs; give a file ending in {', '.join(SUFFIXES)}")
    if hasattr(file, "is_file") and not file.is_file():
        raise InputError(f"{file} does not exist; give a table of outputs")
    pairs = [part.partition("=") for part in query.split("&") if part]
    options = {key: value for key, _, value in pairs}
    if unknown := [key for key in options if key not in (*_KEYS, *_MORE) or not options[key]]:
        known = ", ".join((*_KEYS, *_MORE))
        raise InputError(f"{text!r} says {unknown[0]!r}; a table knows {known}, each with a value")
    if all(kind in options for kind in ANSWERS):
        raise InputError(f"{text!r} names logits and probabilities; name one of them")
    classes, task = options.pop("classes", None), options.pop("task", "multiclass")
    if task not in ("multiclass", "multilabel"):
        raise InputError(f"task is {task!r}; it must be 'multiclass' or 'multilabel'")
    decision = options.pop("decision", None)
    if decision is not None and task == "multiclass":
        raise InputError("decision= is for several labels an image; say task=multilabel too, or leave it out")
    return TableSpec(file, options, None if classes is None else _classes(classes), cast(Task, task), decision)


def _classes(text: str) -> tuple[str, ...]:
    if text.lower().endswith((".txt", ".json")):
        from uncertainty.classifiers.class_names import read_class_names  # from the room of torch

        return read_class_names(text)
    return tuple(name.strip() for name in text.split(","))
