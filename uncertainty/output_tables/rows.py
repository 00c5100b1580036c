"""From some rows of a table to `ModelOutputs`: a row that can't be used is told why, and costs itself alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.array_values import UNUSABLE, usable
from uncertainty.output_tables.columns import Meaning, Output
from uncertainty.outputs import ModelOutputs, Task, probs_from_logits

_EXACT, _HALF = 1e-3, 2e-2  # how far from 1 probabilities may sum: of full, and of half precision
_ROUNDING = 1e-5
_ANSWERS = "answers"


@dataclass(frozen=True)
class Layout:
    """What every row must have: the shape of its cells by what they hold, and in which order classes are wanted.

    `thresholds` are those of the decisions on several labels, in the order of the file; None: the usual ones.
    """

    shapes: Mapping[str, tuple[int, ...]]
    order: tuple[int, ...]
    task: Task
    thresholds: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Checked:
    """(n,) why a row can't be used, None where it can; and outputs of those that can, None for none."""

    errors: list[str | None]
    outputs: ModelOutputs | None


def shapes_of(chunk: Mapping[str, Any], meaning: Meaning) -> dict[str, tuple[int, ...]]:
    """Return the shape of a cell by what it holds: that of the most rows.

    >>> meaning = Meaning("n", None, None, "logits", ("logits",), None, {}, ())
    >>> shapes_of({"logits": [[1, 2], [1, 2], [1]]}, meaning)
    {'answers': (2,)}
    """
    return {kind: _usual_shape([chunk[name] for name in names]) for kind, names in _kinds(meaning).items()}


def checked_rows(names: Sequence[str], chunk: Mapping[str, Any], meaning: Meaning, layout: Layout) -> Checked:
    """Return outputs of the rows that are whole."""
    errors: list[str | None] = [None] * len(names)
    arrays: dict[str, NDArray[Any]] = {}
    for kind, columns in _kinds(meaning).items():
        called = meaning.output if kind == _ANSWERS else kind
        arrays[kind], why = _filled([chunk[name] for name in columns], layout.shapes[kind], called)
        for row, reason in why.items():
            errors[row] = errors[row] or reason
    if kinds := [kind for kind in arrays if _is_probability(kind, meaning.output)]:
        for kind in kinds:
            called = meaning.output if kind == _ANSWERS else kind
            _not_probabilities(arrays[kind], called, layout.task, errors)
    good = np.array([error is None for error in errors], dtype=bool)
    if not good.any():
        return Checked(errors, None)
    kept = {kind: array[good] for kind, array in arrays.items()}
    return Checked(errors, _outputs([n for n, fine in zip(names, good, strict=True) if fine], kept, meaning, layout))


def _kinds(meaning: Meaning) -> dict[str, tuple[str, ...]]:
    return {_ANSWERS: meaning.answers, **meaning.more}


def _is_probability(kind: str, output: Output) -> bool:
    return kind.endswith("_probs") or (kind == _ANSWERS and output == "probabilities")


def _outputs(names: list[str], arrays: Mapping[str, NDArray[Any]], meaning: Meaning, layout: Layout) -> ModelOutputs:
    order, columns = list(layout.order), dict[str, Any]()
    for kind, array in arrays.items():
        if kind == _ANSWERS:
            continue
        ordered = array[..., order] if kind.startswith(("mc_", "tta_")) else array
        if kind.endswith("_logits"):
            columns[kind.replace("_logits", "_probs")] = probs_from_logits(ordered, layout.task).astype(np.float32)
        else:
            columns[kind] = ordered.clip(0, 1) if kind.endswith("_probs") else ordered
    columns = {kind: _at_least_single(array) for kind, array in columns.items()}
    answers = arrays[_ANSWERS][:, order]
    thresholds = None if layout.thresholds is None else [layout.thresholds[k] for k in order]
    columns |= {"task": layout.task, "decision_thresholds": thresholds}
    if meaning.output == "logits":
        return ModelOutputs(ids=names, logits=_at_least_single(answers), **columns)
    p = answers.astype(np.float64).clip(0, 1)
    off = np.abs(p.sum(axis=1, keepdims=True) - 1) > _EXACT
    p = np.where(off, p / p.sum(axis=1, keepdims=True), p) if layout.task == "multiclass" else p
    return ModelOutputs.from_probs(names, p, **columns)


def _at_least_single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _usual_shape(columns: Sequence[Any]) -> tuple[int, ...]:
    if len(columns) > 1:
        return (len(columns),)
    cells = columns[0]
    if isinstance(cells, np.ndarray):
        return cells.shape[1:] or (1,)
    shapes = [shape for cell in cells if cell is not None and (shape := _shape(cell))]
    return max(dict.fromkeys(shapes), key=shapes.count, default=(1,))


def _shape(cell: Any) -> tuple[int, ...]:
    try:
        return np.shape(cell)
    except ValueError:
        return ()


def _filled(columns: Sequence[Any], shape: tuple[int, ...], called: str) -> tuple[NDArray[Any], dict[int, str]]:
    """Return (n, *shape) numbers, and by row why it has none; a column of single numbers each, or one with all."""
    if len(columns) > 1:
        each = [_numbers(column) for column in columns]
        array = np.stack([numbers for numbers, _ in each], axis=1)
        why = {row: reason for _, told in reversed(each) for row, reason in told.items()}
        return array, _with_gaps(array, called, why)
    cells = columns[0]
    if isinstance(cells, np.ndarray) and (cells.shape[1:] or (1,)) == shape:
        array = _floats(cells).reshape(len(cells), *shape)
        return array, _with_gaps(array, called, {})
    array, why = np.full((len(cells), *shape), np.nan), {}
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values = np.asarray(cell, dtype=np.float64)
        except (ValueError, TypeError):
            why[row] = f"its {called} are {str(cell)[:40]!r}, no numbers of one shape"
            continue
        if values.shape == shape or (values.size == 1 and shape == (1,)):
            array[row] = values
        else:
            why[row] = f"it has {_sizes(values.shape)} {called} where other rows have {_sizes(shape)}"
    return array, _with_gaps(array, called, why)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number as"


def _numbers(column: Any) -> tuple[NDArray[Any], dict[int, str]]:
    if isinstance(column, np.ndarray):
        return _floats(column), {}
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in column]), {}
    except (ValueError, TypeError):
        pass
    array, why = np.full(len(column), np.nan), {}
    for row, cell in enumerate(column):
        try:
            array[row] = np.nan if cell is None else float(cell)
        except (ValueError, TypeError):
            why[row] = f"{str(cell)[:40]!r} is no number"
    return array, why


def _floats(array: NDArray[Any]) -> NDArray[Any]:
    """Keep the precision of floats, since it says how exact sums are; NumPy's integers become float64."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _with_gaps(array: NDArray[Any], called: str, why: dict[int, str]) -> dict[int, str]:
    fine = usable(array.reshape(len(array), -1)).all(axis=1)
    gaps = {int(row): f"its {called} are missing, {UNUSABLE}" for row in np.flatnonzero(~fine)}
    return gaps | why


def _not_probabilities(array: NDArray[Any], called: str, task: Task, errors: list[str | None]) -> None:
    """Say of rows what makes them none; the numbers of half precision may sum less exactly."""
    flat = array.reshape(len(array), -1)
    low, high = flat.min(axis=1, initial=0), flat.max(axis=1, initial=0)
    most = _HALF if array.dtype == np.float16 or called != "probabilities" else _EXACT
    with np.errstate(invalid="ignore"):
        outside = (low < -_ROUNDING) | (high > 1 + (_ROUNDING if most == _EXACT else _EXACT))
        sums = array.astype(np.float64).sum(axis=-1).reshape(len(array), -1)
        worst = sums[np.arange(len(array)), np.abs(sums - 1).argmax(axis=1)]
        off = np.abs(worst - 1) > most
    for row in np.flatnonzero(outside | (off & (task == "multiclass"))):
        if errors[row] is None and outside[row]:
            errors[row] = f"its {called} go from {low[row]:.4g} to {high[row]:.4g}; probabilities lie in 0..1"
        elif errors[row] is None:
            errors[row] = f"its {called} sum to {worst[row]:.4g}, and not to 1"
