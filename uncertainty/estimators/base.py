"""The contract of an estimator: a pure function from ModelOutputs to one number a row, higher = more likely wrong."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from copy import copy
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import CalibrationError, InputError, NotFittedError, OutputsError, in_one_line
from uncertainty.outputs import ModelOutputs, Task

Scale = Literal["plain", "log", "logit"]
LearnsFrom = Literal["reference", "calibration"]


class Estimator(ABC):
    """One number for each row, higher = more likely wrong.

    A subclass in a file of its own declares the class attributes below, takes its settings in the constructor
    (which only stores them), learns in `_fit` (what it learns ends in `_` and is an array or a number) and computes in
    `_score`. `name` is the stem of its file. Nothing else needs an edit.
    """

    needs: ClassVar[tuple[str, ...]]
    """Columns of ModelOutputs that `score` reads."""
    learns_from: ClassVar[LearnsFrom] = "reference"
    """What `fit` gets: known-good reference rows, or labelled calibration rows with the errors among them.

    Scores of rows that were learnt from are too good to be true. So a screener fits the latter kind once more without
    each fold of calibration: the combiner only sees scores of rows that the estimator did not learn from.
    """
    fewest: ClassVar[int] = 10
    """How many wrong, and how many right, calibration rows there must be to learn from; with fewer it is left out.

    0 where it learns from labels rather than from errors.
    """
    fit_needs: ClassVar[tuple[str, ...]] = ()
    """Columns that `fit` reads from its rows; labels need not be named where it learns from calibration."""
    reference_needs: ClassVar[tuple[str, ...]] = ()
    """Columns that `fit` reads from the whole reference, for those that ask for it beside their rows."""
    unless: ClassVar[tuple[str, ...]] = ()
    """Columns in whose presence others say the same and more: where one of these is there too, this one is left out."""
    bounds: ClassVar[tuple[float, float]]
    """Smallest and largest value that the formula can give."""
    tasks: ClassVar[tuple[Task, ...]] = ("multiclass", "multilabel")
    scale: ClassVar[Scale] = "plain"
    """On which scale the score is closest to a log-odds: the combiner takes its log, its logit, or leaves it."""
    family: ClassVar[str]
    """The evidence it reads: softmax, dropout, neighbours, image, second opinion or views."""
    reason: ClassVar[str]
    """What a verdict says when this estimator raised `p_wrong`, e.g. "low_margin"."""
    start: ClassVar[float] = 0.0
    """Above 0 where the combination starts from it, before errors speak: the best score of each kind of evidence.

    The share of right calibration rows with a score above a half, thus called wrong, that halves its weight.
    """
    posterior: ClassVar[bool] = False
    """Whether it is the log-odds of an error itself, learnt from labels: the start where errors are not few."""
    default: ClassVar[bool] = True
    """Whether it is in the default set; the others are there to be asked for."""

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__module__.rpartition(".")[2]

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that `score` reads: `needs`, and after a fit also what else it was fitted with."""
        return self.needs

    def fit(self, rows: ModelOutputs, reference: ModelOutputs | None = None) -> Self:
        """Learn from rows (see `learns_from`), forgetting any earlier fit; most estimators have nothing to learn.

        `reference` is for those that have `reference_needs`: all of it, rows that the classifier gets wrong included.

        Raises MissingColumnError without a column of `fit_needs` or `reference_needs`, and where it learns from
        calibration without labels; CalibrationError where fewer than `fewest` of those rows are wrong, or right.
        """
        self._check_task(rows)
        for column in self.fit_needs:
            rows.require(column, self.name)
        if self.learns_from == "calibration":
            self._check_errors(rows)
        self._forget()
        if self.reference_needs:
            self._fit_both(rows, self._checked_reference(reference))
        else:
            self._fit(rows)
        return self

    def fit_without(self, calibration: ModelOutputs, folds: NDArray[np.int64]) -> tuple[Self, ...]:
        """Return this fitted estimator as it is learnt without each fold 0 … of calibration.

        One that has `reference_needs` keeps what the reference taught, and so overrides this.
        """
        return tuple(copy(self).fit(calibration.take(folds != k)) for k in range(folds.max() + 1))

    def score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        """Return (n,) float64, higher = more likely wrong, each row on its own.

        Raises MissingColumnError without a column of `needs`, NotFittedError before `fit`.
        """
        self._check_task(outputs)
        for column in self.reads:
            outputs.require(column, self.name)
        if self.fit_needs and not self.learnt():
            kind = "known-good" if self.learns_from == "reference" else "labelled"
            raise NotFittedError(f"{self.name} is not fitted; call fit({self.learns_from}) with {kind} rows first")
        if len(outputs) == 0:
            return np.empty(0)
        try:
            return np.asarray(self._score(outputs), dtype=np.float64)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise OutputsError(
                f"{self.name} can't score these rows ({in_one_line(error)}); they are of another model, or the "
                "screener is damaged"
            ) from error

    def posterior_logs(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        """Return (n, c) the log of a posterior over the classes, up to a constant of each row; see `posterior`."""
        raise InputError(f"{self.name} has no posterior over the classes, and so none for {len(outputs)} rows")

    def decision_log_odds(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        """Return (n, c) the log-odds that each decision of a multilabel task is wrong; see `posterior`."""
        raise InputError(f"{self.name} says nothing of single decisions, and so nothing for {len(outputs)} rows")

    def voices(self, outputs: ModelOutputs) -> list[dict[str, int]]:
        """Return for each row the class that each kind of evidence speaks for, by its word in a reason; mostly none."""
        return [{}] * len(outputs)

    def reasons(self, outputs: ModelOutputs) -> NDArray[np.str_]:
        """Return (n,) strings: the reason to name for each row, should this estimator have raised its `p_wrong`."""
        return np.full(len(outputs), self.reason)

    def begins(self) -> float:
        """Return `start`, or 0 where this fit is no good to start from."""
        return self.start

    def tells_far(self) -> bool:
        """Return whether it is a distance to known-good images that tells what belongs to no known class."""
        return False

    def note(self) -> str:
        """Return what a user should know of this fit, such as that it fell back to something simpler; mostly ""."""
        return ""

    def _fit(self, rows: ModelOutputs) -> None:  # noqa: B027 - an estimator without memory has nothing to do
        """Store what was learnt in attributes that end in `_`."""

    def _fit_both(self, rows: ModelOutputs, reference: ModelOutputs) -> None:
        """Store what was learnt from calibration rows and the reference, where there are `reference_needs`."""
        self._fit(rows)

    @abstractmethod
    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        """Compute the formula; columns are present, the estimator is fitted, and there is at least one row."""

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as plain values."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def learnt(self) -> dict[str, Any]:
        """Return what `fit` learnt: the attributes that end in a single underscore."""
        return {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}

    def restore(self, learnt: dict[str, Any]) -> Self:
        """Put back what `learnt` returned, so that scores equal those of the saved estimator."""
        for attribute, value in learnt.items():
            setattr(self, attribute, value)
        return self

    def _forget(self) -> None:
        for attribute in self.learnt():
            delattr(self, attribute)

    def _check_task(self, outputs: ModelOutputs) -> None:
        if outputs.task not in self.tasks:
            raise OutputsError(
                f"{self.name} has no {outputs.task} form; leave it out, it serves {', '.join(self.tasks)}"
            )

    def _checked_reference(self, reference: ModelOutputs | None) -> ModelOutputs:
        if reference is None:
            raise InputError(f"{self.name} learns from the reference as well; give it to fit, behind calibration")
        for column in self.reference_needs:
            reference.require(column, self.name)
        return reference

    def _check_errors(self, calibration: ModelOutputs) -> None:
        calibration.require("labels", self.name)
        wrong = int(calibration.wrong.sum())
        right = len(calibration) - wrong
        if min(wrong, right) < self.fewest:
            raise CalibrationError(
                f"{self.name} learns from {self.fewest} wrong and {self.fewest} right rows at least, these are {wrong} "
                f"and {right}; give more labelled rows, or leave it out"
            )
