"""What counts as one calibration row: rows of a group belong together, and the same answer twice is one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from uncertainty.errors import CalibrationError, InputError
from uncertainty.outputs import ModelOutputs

_DIGITS = 4
_COMPARED = ("logits", "features", "embedding", "labels")
Copies = tuple[ModelOutputs | None, ModelOutputs | None]


def usable_rows(
    calibration: ModelOutputs,
    copies: Copies,
    groups: Mapping[str, str] | Sequence[Any] | None,
) -> tuple[ModelOutputs, Copies, tuple[str, ...]]:
    """Return calibration rows with groups, those without an answer and those there twice left out, copies, and notes.

    Copies, damaged and foreign, go with the row that they were made of. All are in the order of their ids: what is
    drawn by the place of a row, folds and rows that are kept back, is the same in whatever order they were given.
    """
    calibration.require("labels", "calibration")
    answered, unanswered = answered_rows(grouped(calibration, groups))
    once, again = answers_once(answered)
    if len(once) < len(calibration):
        copies = _each(copies, partial(copies_of, originals=once))
    return by_id(once), _each(copies, by_id), (*unanswered, *again)


def by_id(outputs: ModelOutputs) -> ModelOutputs:
    """Return the rows in the order of their ids.

    >>> by_id(ModelOutputs(ids=["b", "a"], logits=[[1.0, 0.0], [0.0, 1.0]])).logits.tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    order = np.argsort(outputs.ids, kind="stable")
    return outputs if (order == np.arange(len(order))).all() else outputs.take(order)


def _each(copies: Copies, change: Callable[[ModelOutputs], ModelOutputs]) -> Copies:
    damaged, foreign = (part and change(part) for part in copies)
    return damaged, foreign


def grouped(outputs: ModelOutputs, groups: Mapping[str, str] | Sequence[Any] | None) -> ModelOutputs:
    """Return outputs with groups: by id, where a row without one stands by itself, or (n,) in the order of the rows.

    Raises InputError where no row has a group.

    >>> outputs = ModelOutputs(ids=["a", "b"], logits=np.zeros((2, 2)))
    >>> grouped(outputs, {"a": "film"}).groups.tolist()
    ['group film', 'row b']
    """
    if groups is None:
        return outputs
    if not isinstance(groups, Mapping):
        return replace(outputs, groups=groups)
    names = [str(name) for name in outputs.ids]
    if names and not any(name in groups for name in names):
        raise InputError(f"no calibration row has a group: rows are named like {names[0]!r}; name groups by them")
    return replace(outputs, groups=[f"group {groups[n]}" if n in groups else f"row {n}" for n in names])


def answers_once(outputs: ModelOutputs) -> tuple[ModelOutputs, tuple[str, ...]]:
    """Leave out rows whose answers and labels are to the last digit those of an earlier row: the same picture again.

    Answers of four digits or fewer may be equal by chance, and are left as they are; so are those of one group, which
    count together anyway.

    >>> rows = ModelOutputs(ids=["a", "b"], logits=[[0.123456, 0.2], [0.123456, 0.2]], labels=[0, 0])
    >>> answers_once(rows)[1]
    ("1 of 2 calibration rows gives the same answers as another and was left out, e.g. 'b' as 'a'",)
    """
    if outputs.groups is not None or len(outputs) < 2:
        return outputs, ()
    parts = [np.asarray(getattr(outputs, name), dtype=np.float64) for name in _COMPARED if outputs.has(name)]
    rows = np.concatenate([part.reshape(len(outputs), -1) for part in parts], axis=1)
    told = (outputs.logits != np.round(outputs.logits, _DIGITS)).any(axis=1)
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    original = first[of.reshape(-1)]
    again = told & (original != np.arange(len(outputs)))
    if not again.any():
        return outputs, ()
    row, n = int(np.flatnonzero(again)[0]), int(again.sum())
    gives = "gives the same answers as another and was" if n == 1 else "give the same answers as others and were"
    example = f"{str(outputs.ids[row])!r} as {str(outputs.ids[original[row]])!r}"
    note = f"{n} of {len(outputs)} calibration rows {gives} left out, e.g. {example}"
    return outputs.take(~again), (note,)


def answered_rows(outputs: ModelOutputs) -> tuple[ModelOutputs, tuple[str, ...]]:
    """Leave out rows of several labels of which no answer is known; CalibrationError where no other row is left.

    >>> rows = ModelOutputs(ids=["a", "b"], logits=[[0.1, 0.2]] * 2, labels=[[-1, -1], [0, -1]], task="multilabel")
    >>> answered_rows(rows)[1]
    ("1 of 2 calibration rows has no known answer and was left out, e.g. 'a'",)
    """
    if (answered := outputs.answered).all():
        return outputs, ()
    n, example = int((~answered).sum()), str(outputs.ids[int(answered.argmin())])
    if n == len(outputs):
        raise CalibrationError(
            f"none of {n} calibration rows has a known answer, e.g. {example!r}; give labels of 0 and 1, -1 for unknown"
        )
    has = "has no known answer and was" if n == 1 else "have no known answer and were"
    return outputs.take(answered), (f"{n} of {len(outputs)} calibration rows {has} left out, e.g. {example!r}",)


def copies_of(copies: ModelOutputs, originals: ModelOutputs) -> ModelOutputs:
    """Leave out copies of the rows that were left out; a copy has the id of its original."""
    return copies.take(np.isin(copies.ids, originals.ids))
