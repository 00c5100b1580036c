"""Labels and predictions as arrays or data loaders hold them: class names or indices, checked, with names for all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.array_values import UNUSABLE, as_array, numbers, usable
from uncertainty.errors import InputError
from uncertainty.outputs import UNKNOWN_CLASS, Task

logger = logging.getLogger("uncertainty")
_TEXT = "OUS"
_SUMS = 1e-3


def class_names(classes: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return the names of so many classes, "0", "1", … where there are none; InputError where they do not fit."""
    names = tuple(map(str, range(count) if classes is None else classes))
    if len(names) != count:
        raise InputError(f"{len(names)} class names for {count} classes; give one name for each")
    return distinct(names)


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return class names, or raise InputError for two classes of one name."""
    if len(set(names)) < len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise InputError(f"two classes are called {twice!r}; give each class a name of its own")
    return names


def with_labels(labels: Any, *others: Any) -> tuple[Any, ...]:
    """Return labels and other arrays of the same rows (None stays None) without the rows that have no label.

    No label is None, NaN or empty text. How many were left out is logged; InputError where that is all of them.

    >>> with_labels(["cat", "dog"], None)
    (['cat', 'dog'], None)
    """
    array = _told(labels)
    if array.ndim != 1 or array.dtype.kind in "iub":
        return (labels, *others)
    there = np.array([not missing(value) for value in array.tolist()], dtype=bool)
    if there.all():
        return (labels, *others)
    if not there.any():
        raise InputError(f"none of the {len(there)} rows has a label; there is nothing to compare with")
    logger.warning("left out %d of %d rows that have no label", int((~there).sum()), len(there))
    return tuple(None if values is None else _rows_of(values, there) for values in (array, *others))


def missing(value: Any) -> bool:
    """Whether a cell says nothing: None, NaN, pandas' NA, no time, or text of blanks.

    >>> [missing(value) for value in (None, float("nan"), "  ", "nan", 0)]
    [True, True, True, False, False]
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)
    except TypeError:  # of pandas' NA nothing is true or false
        return True


def _rows_of(values: Any, rows: NDArray[np.bool_]) -> NDArray[Any]:
    array = _told(values)
    if len(array) != len(rows):
        raise InputError(f"{len(rows)} labels and {len(array)} predictions; give one of each for each image")
    kept = array[rows]
    return np.array(kept.tolist()) if kept.dtype.kind == "O" else kept


def _told(values: Any) -> NDArray[Any]:
    """Labels as an array; a list keeps what its cells are, so that a missing one is no text."""
    plain = isinstance(values, list | tuple) and not any(isinstance(v, list | tuple | np.ndarray) for v in values)
    return np.array(values, dtype=object) if plain else as_array("labels and predictions", values)


def as_sets(labels: Any, predictions: Any, classes: Sequence[str] | None) -> tuple[Any, Any, Sequence[str] | None]:
    """Return several labels an image as (n, c) of 1, 0 and -1 for unknown, and the classes; None stays None.

    Rows may be lists of names, one list an image. Classes that nobody names are those that occur, in order.

    >>> as_sets([["cat"], []], [["dog"], ["cat"]], None)
    (array([[1, 0],
           [0, 0]]), array([[0, 1],
           [1, 0]]), ['cat', 'dog'])
    >>> as_sets([[1.0, float("nan")]], None, ["cat", "dog"])[0].tolist()
    [[1.0, -1.0]]
    """
    rows = [values for values in (labels, predictions) if values is not None and _are_names(values)]
    if rows and classes is None:
        classes = sorted({str(name) for values in rows for row in values for name in row or ()})
    return _as_set(labels, classes), _as_set(predictions, classes), classes


def _are_names(values: Any) -> bool:
    if not isinstance(values, list | tuple) or not all(isinstance(row, list | tuple | set) for row in values):
        return False
    return all(isinstance(name, str) for row in values for name in row) and any(len(row) for row in values)


def _as_set(values: Any, classes: Sequence[str] | None) -> Any:
    if values is None:
        return None
    if classes is not None and _are_names(values):
        chosen = np.zeros((len(values), len(classes)), dtype=np.int64)
        for row, names in enumerate(values):
            chosen[row, _of_names(list(names), classes)] = 1
        return chosen
    array = as_array("labels and predictions", values)
    return np.where(np.isnan(array), UNKNOWN_CLASS, array) if array.dtype.kind == "f" else array


def checked_probs(probs: Any, task: Task) -> NDArray[np.float64]:
    """Return probabilities (n, c), or raise InputError for another shape, and for numbers that are none."""
    p = numbers("probs", probs).astype(np.float64)
    if p.ndim != 2:
        raise InputError(f"probs have shape {p.shape}; they must be (n, c), one column a class")
    if task == "multiclass" and p.shape[1] == 1:
        raise InputError("probs have one column; of a yes-or-no answer give two, 1 - p and p")
    if (outside := ~((p >= 0) & (p <= 1)).all(axis=1)).any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"row {row} of probs is {p[row].tolist()}; probabilities are numbers from 0 to 1, not logits")
    off = np.abs(p.sum(axis=1) - 1)
    if task == "multiclass" and len(off) and off.max() > _SUMS:
        raise InputError(
            f"row {int(off.argmax())} of probs sums to {p[off.argmax()].sum():.4g}; each row must sum to 1"
        )
    return p


def row_names(names: Sequence[str] | None, n: int) -> NDArray[np.str_]:
    """Return the names of n images, "0", "1", … where there are none; InputError where they are not as many."""
    array = np.asarray([str(i) for i in range(n)] if names is None else names, dtype=np.str_)
    if array.shape != (n,):
        raise InputError(f"names have shape {array.shape} and there are {n} images; give one name for each")
    return array


def classes_in(labels: Any, predictions: Any, task: Task) -> tuple[str, ...]:
    """Return the names of the classes that occur, sorted, numerals as numbers; or of all indices up to the largest.

    Raises InputError where labels are names and predictions positions, or the other way round: nobody could tell which
    position is which name.
    """
    said = [np.asarray(values) for values in (labels, predictions)]
    if task == "multilabel":
        return class_names(None, said[0].shape[-1])
    if any(values.dtype.kind in _TEXT for values in said):
        if not all(values.dtype.kind in _TEXT or not values.size for values in said):
            raise InputError("labels and predictions are names and positions, one of each; give classes")
        names = {str(value) for values in said for value in values.tolist()}
        numerals = all(name.isascii() and name.isdigit() for name in names)
        return tuple(sorted(names, key=int if numerals else None))
    return class_names(None, 1 + max((int(values.max()) for values in said if values.size), default=-1))


def indices(values: Any, classes: Sequence[str], task: Task) -> NDArray[Any]:
    """Return class positions (n,) from names or integers, -1 for no known class; multilabel (n, c) of 0, 1 and -1.

    Raises InputError for another shape, a name that is no class, and integers beyond the classes.
    """
    array = np.asarray(values)
    if task != "multilabel" and array.dtype.kind not in "iub":
        _refuse_missing(values)
    if task == "multilabel":
        if array.ndim != 2 or array.shape[1] != len(classes) or not np.isin(array, (0, 1, -1)).all():
            raise InputError(
                f"multilabel labels are 0 and 1, -1 for unknown, of shape (n, {len(classes)}); got shape {array.shape}"
            )
        return array.astype(np.int64)
    if array.ndim != 1:
        raise InputError(f"labels have shape {array.shape}; give one class for each image, or say task='multilabel'")
    if array.dtype.kind in _TEXT:
        return _of_names([str(value) for value in array.tolist()], classes)
    if array.size and not (UNKNOWN_CLASS <= array.min() and array.max() < len(classes) and (array % 1 == 0).all()):
        raise InputError(f"labels lie in {array.min()}..{array.max()}; they must be integers in -1..{len(classes) - 1}")
    return array.astype(np.int64)


def _refuse_missing(values: Any) -> None:
    told = _told(values)
    row = next((k for k, value in enumerate(told.tolist()) if told.ndim == 1 and missing(value)), None)
    if row is not None:
        raise InputError(f"row {row} has no prediction ({told[row]!r}); leave such rows out, or predict them")


def _of_names(names: list[str], classes: Sequence[str]) -> NDArray[np.int64]:
    position = {name: k for k, name in enumerate(classes)}
    if unknown := sorted(set(names) - position.keys()):
        advice = "name all classes, or give the index -1 for no known class"
        raise InputError(f"the label {unknown[0]!r} is none of the {len(classes)} classes; {advice}")
    return np.array([position[name] for name in names], dtype=np.int64)


def run_over(
    loader: Iterable[Any], answers: Any, what: str = "logits"
) -> tuple[NDArray[Any], NDArray[np.float64], list[str] | None]:
    """Return labels, logits (n, c) and names (None where the batches have none) of a loader; `answers` gives logits.

    Or what else it gives, called `what`.

    Batches are (inputs, labels) or (inputs, labels, names). Rows whose logits are NaN, infinite or beyond 1e18 are left
    out, and a warning is logged that names one. Raises InputError for anything else, for an empty loader, and for a
    model in training mode, whose answers are random.
    """
    if getattr(answers, "training", False):
        raise InputError("the model is in training mode, so its answers are random; call model.eval() first")
    labels, logits, names = [], [], []
    for batch in loader:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise InputError(f"the loader yields {type(batch).__name__}; it must yield (inputs, labels) or with names")
        labels.append(as_array("labels", batch[1]))
        logits.append(numbers(what, answers(batch[0])))
        names += list(batch[2]) if len(batch) == 3 else []
        if logits[-1].ndim != 2 or len(logits[-1]) != len(labels[-1]):
            shapes = f"{what} of shape {logits[-1].shape} for {len(labels[-1])} labels"
            raise InputError(f"the model answers with {shapes}; it must give one row of {what} for each")
    if not labels:
        raise InputError("the loader yields no batch; there is nothing to compare")
    every, known = np.concatenate(logits).astype(np.float64), np.concatenate(labels)
    if names and len(names) != len(known):
        raise InputError(f"the loader yields {len(names)} names for {len(known)} labels; give one name for each")
    kept = np.asarray(usable(every).all(axis=1))
    if not kept.any():
        raise InputError(f"all {len(kept)} rows of {what} are {UNUSABLE}")
    named = np.array([str(name) for name in names], dtype=object) if names else np.arange(len(kept))
    if not kept.all():
        first = named[~kept][0]
        logger.warning("left out %d rows whose %s are %s, e.g. %r", (~kept).sum(), what, UNUSABLE, first)
    return known[kept], every[kept], named[kept].tolist() if names else None
