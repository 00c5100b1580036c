"""From outputs to what the combiner learns from: signals of each row, and calibration rows of every condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.folds import folds
from uncertainty.combination.mixture import NOTHING_SAID, SEVERAL_SAID, Signals
from uncertainty.errors import CalibrationError, InputError
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs, Task

# Of the quality statistics, those that damage changes; size and aspect are of the file and not of its condition.
_CONTEXT = 6
ROWS_AT_ONCE = 256
"""So many rows are scored together: neighbour estimators then share one look at their index, and memory stays flat."""


@dataclass(frozen=True)
class Shares:
    """Which shares of the incoming images are expected to be damaged, and of no known class; the rest is clean.

    Raises InputError for shares below 0, or that leave nothing clean.
    """

    damaged: float
    foreign: float

    def __post_init__(self) -> None:
        for name, share in (("damage", self.damaged), ("unknown", self.foreign)):
            if not 0 <= share < 1:
                raise InputError(f"expect_{name} is {share}; it must be a share from 0 to below 1")
        if self.clean <= 0:
            raise InputError(f"expect_damage {self.damaged} and expect_unknown {self.foreign} leave no clean images")

    def of(self, *, damaged: bool, foreign: bool) -> Shares:
        """Return the shares of those conditions for which there are rows."""
        return Shares(self.damaged if damaged else 0.0, self.foreign if foreign else 0.0)

    @property
    def clean(self) -> float:
        """What is left."""
        return 1 - self.damaged - self.foreign


def signals(
    estimators: Sequence[Estimator], outputs: ModelOutputs, scored: tuple[Estimator, NDArray[np.float64]] | None = None
) -> Signals:
    """Return the scores of fitted estimators, the image statistics that damage changes, and the predicted class.

    `scored` is an estimator whose scores (n,) are known.
    """
    known, values = (None, np.empty(len(outputs))) if scored is None else scored
    scores, start = [], 0
    for some in outputs.in_blocks(ROWS_AT_ONCE):
        own = values[start : start + len(some)]
        scores.append(np.stack([own if e is known else e.score(some) for e in estimators], axis=1))
        start += len(some)
    return _signals(np.concatenate(scores), outputs)


def _signals(scores: NDArray[np.float64], outputs: ModelOutputs) -> Signals:
    return Signals(
        scores=scores,
        context=np.empty((len(outputs), 0)) if outputs.quality is None else _context(outputs),
        predicted=predicted(outputs),
    )


def predicted(outputs: ModelOutputs) -> NDArray[np.int64]:
    """Return (n,) the predicted class; of several labels whether any is said to be there, see `Signals`.

    >>> outputs = ModelOutputs(ids=["a", "b"], logits=[[1.0, 1.0], [-1.0, -1.0]], task="multilabel")
    >>> predicted(outputs).tolist() == [SEVERAL_SAID, NOTHING_SAID]
    True
    """
    if outputs.task == "multilabel":
        return np.where(outputs.predictions.any(axis=1), SEVERAL_SAID, NOTHING_SAID)
    return outputs.predictions


def far(estimators: Sequence[Estimator], task: Task) -> NDArray[np.bool_]:
    """Return (m,) which scores tell images of no known class, without one to learn from; of several labels none can."""
    return np.array([task == "multiclass" and e.tells_far() for e in estimators])


def shares_of(
    asked: Shares, estimators: Sequence[Estimator], calibration: ModelOutputs, copies: Sequence[ModelOutputs | None]
) -> Shares:
    """Return the shares of those conditions that there are copies of, or that a distance tells."""
    damaged, foreign = (part is not None and len(part) > 0 for part in copies)
    return asked.of(damaged=damaged, foreign=foreign or bool(far(estimators, calibration.task).any()))


def counted(rows: Evidence, shares: Shares) -> dict[str, Any]:
    """Return what a screener says of its calibration rows; JSON values."""
    return {
        "calibration": int(rows.rows("clean").sum()),
        "errors": rows.errors("clean"),
        "damaged_copies": int(rows.rows("damaged").sum()),
        "foreign_copies": int(rows.rows("foreign").sum()),
        "expected_damage": shares.damaged,
        "expected_unknown": shares.foreign,
    }


def _context(outputs: ModelOutputs) -> NDArray[np.float64]:
    return np.asarray(outputs.quality[:, :_CONTEXT], dtype=np.float64)


def evidence(
    estimators: Sequence[Estimator],
    calibration: ModelOutputs,
    copies: Sequence[ModelOutputs | None],
    shares: Shares,
    seed: int = 0,
    kept_back: NDArray[np.bool_] | None = None,
) -> Evidence:
    """Put calibration rows and their damaged and foreign copies together.

    `copies` are (damaged, foreign), None where there are none; each copy has the id of its original and is in its
    fold. A clean row weighs 1; the copies of a condition weigh together as much as their share asks for. An estimator
    that learns from calibration is fitted again without each fold of the combiner, and scores that fold and its copies.
    `kept_back` (n,) are calibration rows that the estimators were not fitted on, nor shall the combiner be.
    """
    if len(calibration) == 0:
        raise CalibrationError("calibration has no rows; give labelled images that the classifier was not trained on")
    wanted = [(calibration, shares.clean), *zip(copies, (shares.damaged, shares.foreign), strict=True)]
    parts = [
        (k, part, share / shares.clean * len(calibration) / len(part))
        for k, (part, share) in enumerate(wanted)
        if part is not None and len(part) and share
    ]
    for k, part, _ in parts[1:]:
        _check_originals(CONDITIONS[k], part, calibration)
    row = {name: position for position, name in enumerate(calibration.ids)}
    groups = [np.array([row[name] for name in part.ids]) for _, part, _ in parts]
    clusters = None if calibration.groups is None else np.unique(calibration.groups, return_inverse=True)[1]
    teaching = np.ones(len(calibration), dtype=bool) if kept_back is None else ~kept_back
    sources = [FoldFitted.on(estimator, calibration, teaching, seed) for estimator in estimators]
    joined = [
        _signals(np.stack([source(part, rows) for source in sources], axis=1), part)
        for (_, part, _), rows in zip(parts, groups, strict=True)
    ]
    return Evidence(
        names=tuple(e.name for e in estimators),
        scales=tuple(e.scale for e in estimators),
        start=np.array([e.begins() for e in estimators]),
        posterior=np.array([e.posterior for e in estimators]),
        signals=Signals(*(np.concatenate([getattr(s, f) for s in joined]) for f in ("scores", "context", "predicted"))),
        classes=0 if calibration.task == "multilabel" else calibration.n_classes,
        wrong=np.concatenate([part.wrong for _, part, _ in parts]),
        condition=np.concatenate([np.full(len(part), k) for k, part, _ in parts]),
        weights=np.concatenate([np.full(len(part), weight) for _, part, weight in parts]),
        groups=np.concatenate(groups),
        clusters=None if clusters is None else clusters[np.concatenate(groups)],
        far=far(estimators, calibration.task),
        unknown=shares.foreign / shares.clean,
    )


@dataclass(frozen=True, eq=False)
class FoldFitted:
    """A fitted estimator as the combiner learns from it: what read calibration labels never scores their own rows."""

    usual: Estimator
    without: tuple[Estimator, ...]
    folds: NDArray[np.int64]

    @classmethod
    def on(cls, estimator: Estimator, calibration: ModelOutputs, teaching: NDArray[np.bool_], seed: int) -> FoldFitted:
        """Fit an estimator that learns from calibration once more without each fold; -1 are rows it never saw."""
        fold = np.full(len(calibration), -1)
        if estimator.learns_from == "reference":
            return cls(estimator, (), fold)
        groups = calibration.groups
        clusters = None if groups is None else np.unique(groups, return_inverse=True)[1][teaching]
        fold[teaching] = folds(calibration.wrong[teaching], seed, clusters)
        return cls(estimator, estimator.fit_without(calibration.take(teaching), fold[teaching]), fold)

    def __call__(self, part: ModelOutputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) scores of a part; `rows` are the calibration rows of which it holds copies."""
        return self.each(part, rows, lambda estimator, some: estimator.score(some))

    def each(
        self,
        part: ModelOutputs,
        rows: NDArray[np.int64],
        said: Callable[[Estimator, ModelOutputs], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """Return what is said of each row (n, ...) by the estimator that did not learn from it."""
        if not self.without:
            return said(self.usual, part)  # the very rows, since estimators share a look at them
        found: NDArray[np.float64] | None = None
        for k, estimator in enumerate((self.usual, *self.without), start=-1):
            own = self.folds[rows] == k
            if own.any():
                values = said(estimator, part.take(own))
                found = np.empty((len(part), *values.shape[1:])) if found is None else found
                found[own] = values
        return np.empty(len(part)) if found is None else found


def _check_originals(condition: str, copies: ModelOutputs, calibration: ModelOutputs) -> None:
    orphans = np.setdiff1d(copies.ids, calibration.ids)
    if len(orphans):
        raise CalibrationError(
            f"{len(orphans)} {condition} rows, e.g. {str(orphans[0])!r}, have the id of no calibration row; "
            "a copy has the id of its original"
        )
    if copies.has("quality") != calibration.has("quality"):
        raise CalibrationError(f"the {condition} rows and calibration must both have the column 'quality', or neither")
