"""What a classifier says about n images: one immutable table of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.checks.array_values import LARGEST, as_array, frozen, numbers, own, usable
from uncertainty.errors import MissingColumnError, OutputsError

Task = Literal["multiclass", "multilabel"]
Floats = NDArray[np.float32] | NDArray[np.float64]

UNKNOWN_CLASS = UNKNOWN_ANSWER = -1
"""Multiclass: of no class of the classifier, which is an answer. Multilabel: the answer for a label is not known."""
_RANK = {"logits": 2, "features": 2, "mc_probs": 3, "tta_probs": 3, "quality": 2, "embedding": 2}
_PROBABILITIES = ("mc_probs", "tta_probs")
# A log of an exact zero has no finite value; 1e-12 keeps the order of every probability that float32 can tell apart.
_SMALLEST_PROBABILITY = 1e-12
# How far from 1 probabilities may sum: those that a user computed, and those that a network gave in half precision.
_EXACT, _ROUNDED = 1e-3, 2e-2


def probs_from_logits(logits: Any, task: Task = "multiclass") -> NDArray[np.float64]:
    """Softmax over the last axis, or the sigmoid of each logit when the task is multilabel; any shape, float64.

    >>> probs_from_logits([0.0, np.log(3.0)]).round(2).tolist()
    [0.25, 0.75]
    """
    z = np.asarray(logits, dtype=np.float64)
    if task == "multilabel":
        return np.asarray(0.5 * (1 + np.tanh(z / 2)))  # the sigmoid, written so that it can't overflow
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, eq=False, repr=False)
class ModelOutputs(Brief):
    """Arrays of n rows, one row an image; checked once, here, and never changed.

    Parameters
    ----------
    ids : (n,) strings, unique.
    logits : (n, c) finite floats, before softmax (multiclass) or sigmoid (multilabel).
    features : (n, d) input of the classifier's last layer.
    mc_probs : (n, t, c) probabilities of t dropout sub-networks.
    tta_probs : (n, v, c) probabilities of v augmented views.
    quality : (n, q) statistics of the image file itself, see `uncertainty.images.quality`.
    embedding : (n, e) features of a second, independent backbone.
    labels : multiclass (n,) integers, -1 for an image of no known class; multilabel (n, c): 1 carries the label, 0 does
        not, -1 (or NaN) nobody knows. A row of zeros is an answer: it carries none.
    groups : (n,) names or numbers of what rows belong together, such as the film of a frame or a patient.
    task : "multiclass" or "multilabel".
    decision_thresholds : (c,) multilabel only, a label is predicted where its probability reaches it; default 0.5.

    Raises
    ------
    OutputsError : a shape, a value that is not finite or beyond 1e18, or an id that occurs twice, named.

    Examples
    --------
    >>> outputs = ModelOutputs(ids=["a", "b"], logits=[[0.0, 0.0], [0.0, np.log(3.0)]], labels=[0, 0])
    >>> outputs.probs.round(2).tolist()
    [[0.5, 0.5], [0.25, 0.75]]
    >>> outputs.predictions.tolist(), outputs.wrong.tolist()
    ([0, 1], [False, True])

    """

    ids: NDArray[np.str_] | Sequence[str]
    logits: Any
    features: Any = None
    mc_probs: Any = None
    tta_probs: Any = None
    quality: Any = None
    embedding: Any = None
    labels: Any = None
    groups: Any = None
    task: Task = "multiclass"
    decision_thresholds: Any = None

    def _facts(self) -> dict[str, Any]:
        there = [field.name for field in fields(self)[1:] if getattr(self, field.name) is not None]
        return {"images": len(self), "classes": self.n_classes, "columns": ", ".join(there)}

    def __post_init__(self) -> None:
        if self.task not in ("multiclass", "multilabel"):
            raise OutputsError(f"task is {self.task!r}; it must be 'multiclass' or 'multilabel'")
        self._set("ids", _checked_ids(self.ids))
        for name, rank in _RANK.items():
            if (value := getattr(self, name)) is not None:
                self._set(name, _checked_floats(name, value, rank, len(self.ids)))
        if self.logits is None:
            raise OutputsError("logits are missing; give logits of shape (n, c), or use ModelOutputs.from_probs")
        for name in _PROBABILITIES:
            _check_probabilities(name, getattr(self, name), self.n_classes, self.task)
        if self.labels is not None:
            self._set("labels", _checked_labels(self.labels, self.logits.shape, self.task))
        if self.groups is not None:
            self._set("groups", _checked_groups(self.groups, len(self.ids)))
        self._set("decision_thresholds", _checked_thresholds(self.decision_thresholds, self.n_classes, self.task))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, own(value) if isinstance(value, np.ndarray) else value)

    @classmethod
    def from_probs(cls, ids: Sequence[str] | NDArray[np.str_], probs: Any, **columns: Any) -> ModelOutputs:
        """Make outputs from probabilities alone: logits = log p (multilabel: log p/(1-p)), p clipped to [1e-12, 1].

        >>> ModelOutputs.from_probs(["a"], [[0.2, 0.8]]).probs.round(6).tolist()
        [[0.2, 0.8]]
        """
        p = numbers("probs", probs).astype(np.float64)
        if p.ndim != 2 or not np.isfinite(p).all() or (p < 0).any() or (p > 1).any():
            raise OutputsError(f"probs must be finite numbers in [0, 1] of shape (n, c); got shape {p.shape}")
        if columns.get("task", "multiclass") == "multilabel":
            p = p.clip(_SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
            return cls(ids=ids, logits=np.log(p) - np.log1p(-p), **columns)
        _check_sums("probs", p, _EXACT)
        return cls(ids=ids, logits=np.log(p.clip(_SMALLEST_PROBABILITY, 1)), **columns)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> ModelOutputs:
        """Return one row by its position, or several by a slice, as outputs again."""
        return self.take(np.atleast_1d(np.arange(len(self))[rows]))

    @property
    def n_classes(self) -> int:
        """Number of classes c."""
        return int(self.logits.shape[1])

    @property
    def probs(self) -> NDArray[np.float64]:
        """(n, c) float64: softmax of the logits, or their sigmoid when the task is multilabel."""
        return probs_from_logits(self.logits, self.task)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Multiclass (n,): the class with the largest logit. Multilabel (n, c): 0 or 1 for each label."""
        if self.task == "multilabel":
            return np.asarray(self.probs >= self.decision_thresholds, dtype=np.int64)
        return np.asarray(np.argmax(self.logits, axis=1), dtype=np.int64)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(n,) True where the prediction differs from the label (multilabel: any known decision of the row does)."""
        if self.task == "multilabel":
            return np.asarray(self.wrong_decisions.any(axis=1))
        return np.asarray(self.predictions != self.require("labels", "wrong"))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Multilabel (n, c): True where the answer is known. Multiclass (n,): all are, since -1 is an answer."""
        labels = self.require("labels", "known")
        return np.asarray(labels != UNKNOWN_ANSWER) if self.task == "multilabel" else np.ones(len(self), dtype=bool)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(n,) True for rows with a label, multilabel with one known answer at least; the others count as unlabelled.

        >>> labels = [[0, 0], [-1, 1], [-1, -1]]
        >>> outputs = ModelOutputs(ids=["a", "b", "c"], logits=np.zeros((3, 2)), labels=labels, task="multilabel")
        >>> outputs.answered.tolist()
        [True, True, False]
        """
        return np.asarray(self.known.any(axis=1)) if self.task == "multilabel" else self.known

    @property
    def wrong_decisions(self) -> NDArray[np.bool_]:
        """Multilabel (n, c): True where a decision differs from its known answer; an unknown one is never wrong.

        >>> labels = [[0, 1], [-1, 1]]
        >>> outputs = ModelOutputs(ids=["a", "b"], logits=[[2.0, 1.0]] * 2, labels=labels, task="multilabel")
        >>> outputs.wrong_decisions.tolist(), outputs.wrong.tolist()
        ([[True, False], [False, False]], [True, False])
        """
        if self.task != "multilabel":
            raise OutputsError(f"wrong_decisions belong to a multilabel task; this one is {self.task}, use wrong")
        return np.asarray(self.known & (self.predictions != self.labels))

    def has(self, column: str) -> bool:
        """Whether a column is present; `probs` always is."""
        return column == "probs" or getattr(self, column) is not None

    def require(self, column: str, who: str) -> NDArray[Any]:
        """Return the column, or raise MissingColumnError naming it and who needs it."""
        if not self.has(column):
            raise MissingColumnError(f"{who} needs the column {column!r}, which these outputs don't have")
        return np.asarray(getattr(self, column))

    def take(self, rows: NDArray[Any] | Sequence[int]) -> ModelOutputs:
        """Return the rows picked by integer positions or by a boolean mask, in that order."""
        picked = np.asarray(rows)
        picked = picked if picked.dtype == bool else picked.astype(np.int64)
        columns: dict[str, Any] = {name: frozen(getattr(self, name)[picked]) for name in self._row_columns()}
        return replace(self, **columns)

    def in_blocks(self, rows: int) -> Iterator[ModelOutputs]:
        """Yield all rows in their order, at most so many at once.

        >>> [len(some) for some in ModelOutputs(ids=["a", "b", "c"], logits=np.zeros((3, 2))).in_blocks(2)]
        [2, 1]
        """
        if len(self) <= rows:
            yield self
            return
        yield from (self[start : start + rows] for start in range(0, len(self), rows))

    def _row_columns(self) -> list[str]:
        names = [f.name for f in fields(self) if f.name not in ("task", "decision_thresholds")]
        return [name for name in names if getattr(self, name) is not None]

    @staticmethod
    def concatenate(parts: Sequence[ModelOutputs]) -> ModelOutputs:
        """Join parts row-wise; all must have the same columns, classes and task."""
        if not parts:
            raise OutputsError("concatenate needs at least one part; got none")
        columns = parts[0]._row_columns()
        if any(part._row_columns() != columns or part.task != parts[0].task for part in parts):
            raise OutputsError(f"parts differ in columns or task: {sorted({str(p._row_columns()) for p in parts})}")
        try:
            joined: dict[str, Any] = {
                name: frozen(np.concatenate([getattr(part, name) for part in parts])) for name in columns
            }
        except ValueError as error:
            raise OutputsError(f"parts differ in shape: {error}") from error
        return replace(parts[0], **joined)


def _checked_ids(ids: Any) -> NDArray[np.str_]:
    array = as_array("ids", ids)
    if isinstance(ids, list | tuple):  # in which NumPy makes text of a NaN
        _ = [_id(one) for one in ids if isinstance(one, float)]
    if array.dtype.kind != "U":
        array = np.array(list(map(_id, array.ravel().tolist())), dtype=np.str_).reshape(array.shape)
    if array.ndim != 1:
        raise OutputsError(f"ids must be a flat list of strings; got shape {array.shape}")
    unique, counts = np.unique(array, return_counts=True)
    if len(unique) < len(array):
        raise OutputsError(f"ids must be unique; {str(unique[counts.argmax()])!r} occurs {counts.max()} times")
    return array


def _id(value: Any) -> str:
    if value is None or isinstance(value, bytes) or (isinstance(value, float) and value != value):
        raise OutputsError(f"ids must be text; got {value!r}")
    return str(value)


def _checked_floats(name: str, value: Any, rank: int, n: int) -> Floats:
    array = numbers(name, value)
    if array.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            array = frozen(array.astype(np.float64))
    if array.ndim != rank or len(array) != n:
        raise OutputsError(f"{name} has shape {array.shape}; it must have {rank} axes and {n} rows, one for each id")
    if rank > 1 and 0 in array.shape[1:]:
        raise OutputsError(f"{name} has shape {array.shape}; no axis but the first may be empty")
    if array.size and not (array.min() >= -LARGEST and array.max() <= LARGEST):  # NaN is neither
        _refuse_unusable(name, array)
    return array


def _refuse_unusable(name: str, array: Floats) -> None:
    if not (finite := np.isfinite(array)).all():
        row = int(np.argwhere(~finite)[0][0])
        raise OutputsError(f"{name} has {int((~finite).sum())} values that are NaN or infinite, the first in row {row}")
    at = tuple(np.argwhere(~usable(array))[0])
    raise OutputsError(
        f"{name} has the value {array[at]:.4g} in row {int(at[0])}; values beyond {LARGEST:g} are "
        "refused: is the column in another unit, or that row damaged?"
    )


def _check_probabilities(name: str, value: Any, c: int, task: Task) -> None:
    if value is None:
        return
    if value.shape[2] != c:
        raise OutputsError(f"{name} has {value.shape[2]} classes and logits have {c}")
    if value.size and (value.min() < 0 or value.max() > 1 + 1e-5):
        raise OutputsError(f"{name} must be probabilities; its range is [{value.min():.3g}, {value.max():.3g}]")
    if task == "multiclass":
        _check_sums(name, value, _ROUNDED)


def _check_sums(name: str, p: NDArray[Any], most: float) -> None:
    sums = p.sum(axis=-1)
    off = np.abs(sums - 1)
    if off.size and off.max() > most:
        where = np.unravel_index(int(off.argmax()), off.shape)
        raise OutputsError(f"{name} must sum to 1 in each row; row {where[0]} sums to {sums[where]:.4g}")


def _checked_labels(labels: Any, shape: tuple[int, int], task: Task) -> NDArray[np.int64]:
    array = as_array("labels", labels)
    _refuse_names(array)
    array = numbers("labels", array)
    expected = shape if task == "multilabel" else shape[:1]
    if array.shape != expected:
        raise OutputsError(f"labels have shape {array.shape}; for a {task} task they must have shape {expected}")
    if task == "multilabel" and array.dtype.kind == "f":
        array = np.where(np.isnan(array), UNKNOWN_ANSWER, array)
    if array.dtype.kind not in "iub" and (odd := array != np.floor(array)).any():
        row = int(np.argwhere(odd)[0][0])
        raise OutputsError(f"labels must be integers; row {row} has {array[row].tolist()}")
    low, high = UNKNOWN_CLASS, 1 if task == "multilabel" else shape[1] - 1
    if array.size and (array.min() < low or array.max() > high):
        raise OutputsError(f"labels must lie in {low}..{high}; got {array.min():g}..{array.max():g}")
    return frozen(array.astype(np.int64))


def _refuse_names(labels: NDArray[Any]) -> None:
    values = enumerate(labels.ravel().tolist() if labels.dtype.kind in "USOT" else ())
    for row, odd in values:
        if not isinstance(odd, int | float):
            what = f"text such as {odd!r}" if isinstance(odd, str) else f"{odd!r} in row {row}"
            raise OutputsError(
                f"labels must be integers; got {what}: give their positions among the classes, {UNKNOWN_CLASS} for none"
            )


def _checked_groups(groups: Any, n: int) -> NDArray[np.str_]:
    array = as_array("groups", groups)
    if array.shape != (n,):
        raise OutputsError(f"groups have shape {array.shape}; give one for each of the {n} rows")
    named = array.tolist()
    if missing := [row for row, value in enumerate(named) if value is None or value == "" or value != value]:
        raise OutputsError(f"row {missing[0]} has no group; give each row one, its own id where it stands alone")
    return frozen(np.array([str(value) for value in named], dtype=np.str_))


def _checked_thresholds(thresholds: Any, c: int, task: Task) -> NDArray[np.float64] | None:
    if task == "multiclass":
        if thresholds is not None:
            raise OutputsError("decision_thresholds belong to a multilabel task; this one is multiclass")
        return None
    array = np.full(c, 0.5) if thresholds is None else numbers("decision_thresholds", thresholds).astype(float)
    if array.shape != (c,) or not ((array > 0) & (array < 1)).all():
        raise OutputsError(f"decision_thresholds must be {c} numbers between 0 and 1; got {array.tolist()}")
    return array
