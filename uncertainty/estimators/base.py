"""The contract of an estimator: a pure function from ModelOutputs to one number a row, higher = more likely wrong."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import NotFittedError, OutputsError
from uncertainty.outputs import ModelOutputs, Task

Scale = Literal["plain", "log", "logit"]


class Estimator(ABC):
    """One number for each row, higher = more likely wrong.

    A subclass in a file of its own declares the class attributes below, takes its settings in the constructor
    (which only stores them), learns in `_fit` (what it learns ends in `_` and is an array or a number) and computes in
    `_score`. `name` is the stem of its file. Nothing else needs an edit.
    """

    needs: ClassVar[tuple[str, ...]]
    """Columns of ModelOutputs that `score` reads."""
    fit_needs: ClassVar[tuple[str, ...]] = ()
    """Columns that `fit` reads from the known-good reference rows."""
    bounds: ClassVar[tuple[float, float]]
    """Smallest and largest value that the formula can give."""
    tasks: ClassVar[tuple[Task, ...]] = ("multiclass", "multilabel")
    scale: ClassVar[Scale] = "plain"
    """On which scale the score is closest to a log-odds: the combiner takes its log, its logit, or leaves it."""
    family: ClassVar[str]
    """The evidence it reads: softmax, dropout, neighbours or image."""
    reason: ClassVar[str]
    """What a verdict says when this estimator raised `p_wrong`, e.g. "low_margin"."""
    essential: ClassVar[bool] = False
    """Kept when calibration has too few errors to weigh every estimator: about one for each kind of evidence."""
    default: ClassVar[bool] = True
    """Whether it is in the default set; the others are there to be asked for."""

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__module__.rpartition(".")[2]

    def fit(self, reference: ModelOutputs) -> Self:
        """Learn from known-good rows, forgetting any earlier fit; most estimators have nothing to learn."""
        self._check_task(reference)
        for column in self.fit_needs:
            reference.require(column, self.name)
        for attribute in self.learnt():
            delattr(self, attribute)
        self._fit(reference)
        return self

    def score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        """Return (n,) float64, higher = more likely wrong, each row on its own.

        Raises MissingColumnError without a column of `needs`, NotFittedError before `fit`.
        """
        self._check_task(outputs)
        for column in self.needs:
            outputs.require(column, self.name)
        if self.fit_needs and not self.learnt():
            raise NotFittedError(f"{self.name} is not fitted; call fit(reference) with known-good rows first")
        if len(outputs) == 0:
            return np.empty(0)
        return np.asarray(self._score(outputs), dtype=np.float64)

    def reasons(self, outputs: ModelOutputs) -> NDArray[np.str_]:
        """Return (n,) strings: the reason to name for each row, should this estimator have raised its `p_wrong`."""
        return np.full(len(outputs), self.reason)

    def _fit(self, reference: ModelOutputs) -> None:  # noqa: B027 - an estimator without memory has nothing to do
        """Store what was learnt in attributes that end in `_`."""

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

    def _check_task(self, outputs: ModelOutputs) -> None:
        if outputs.task not in self.tasks:
            raise OutputsError(
                f"{self.name} has no {outputs.task} form; leave it out, it serves {', '.join(self.tasks)}"
            )
