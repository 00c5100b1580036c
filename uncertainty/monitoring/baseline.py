"""What monitoring reads of images, and what a screener keeps of its calibration rows for comparison: plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.mixture import NOTHING_SAID, SEVERAL_SAID, Floats, Signals
from uncertainty.errors import InputError
from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.outputs import ModelOutputs

if TYPE_CHECKING:
    import pyarrow as pa

_PREFIX = "baseline."
_TINY = 1e-12
BETWEEN = 0.6
"""Where a screener's own copies do not tell. Screeners that learnt from one half of the kinds of damage were off by so
much in the log-odds of an error on kinds of the other: digits 0.57 to 0.9, CIFAR-10 and solar cells 0.3 to 0.55."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What monitoring reads of n images; all float32, as verdicts store them, so that equal stays equal.

    Parameters
    ----------
    scores : (n, m) of m estimators, higher = more likely wrong.
    context : (n, q) statistics of the images; q may be 0.
    predicted : (n,) int64 predicted class, below 0 where there is no single one (multilabel), see `Signals`.
    p_wrong : (n,) in 0..1.
    confidence : (n,) the largest probability after temperature scaling; multilabel: of the least sure decision.
    neg_entropy : (n,) Σ p ln p after temperature scaling, at most 0, higher = surer; multilabel: over all decisions.

    """

    scores: NDArray[np.float32]
    context: NDArray[np.float32]
    predicted: NDArray[np.int64]
    p_wrong: NDArray[np.float32]
    confidence: NDArray[np.float32]
    neg_entropy: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.p_wrong)

    def take(self, rows: NDArray[Any] | slice) -> Rows:
        """Return the rows of a mask, at positions or of a slice."""
        return Rows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def signals(self) -> Signals:
        """What p_wrong was computed from."""
        return Signals(self.scores.astype(np.float64), self.context.astype(np.float64), self.predicted)


@dataclass(frozen=True, eq=False)
class Baseline:
    """Calibration rows, undamaged: with p_wrong from folds without the row, and whether the classifier was wrong.

    `temperature` divides log-probabilities before confidence and entropy are taken, see `fitted_temperature`. `labels`
    are (n,) classes, -1 for none that is known; None for several labels an image, and where they were not kept.
    `clusters` (n,) say which rows belong together, such as frames of a film; None where nobody said so. `between` is
    how far the log-odds of an error of images that calibration has none of are off, one standard deviation.
    """

    rows: Rows
    wrong: NDArray[np.bool_]
    temperature: float = 1.0
    labels: NDArray[np.int64] | None = None
    clusters: NDArray[np.int64] | None = None
    between: float = BETWEEN

    @classmethod
    def of(cls, evidence: Evidence, p_wrong: Floats, calibration: ModelOutputs) -> Self:
        """Keep the clean rows of the evidence, which are those of calibration; `p_wrong` is of all its rows."""
        clean = evidence.rows("clean")
        wrong = evidence.wrong[clean]
        temperature = 1.0 if calibration.task == "multilabel" else fitted_temperature(calibration.probs, wrong)
        return cls(
            rows_of_signals(evidence.signals.take(clean), p_wrong[clean], calibration.probs, temperature),
            wrong,
            temperature,
            None if calibration.task == "multilabel" else np.asarray(calibration.labels, dtype=np.int64),
            None if evidence.clusters is None else evidence.clusters[clean],
        )

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of the image statistics; none where calibration had no quality."""
        return QUALITY_NAMES[: self.rows.context.shape[1]]

    @property
    def classes(self) -> int:
        """Number of classes that calibration has, by label or prediction."""
        known = (self.rows.predicted, self.labels if self.labels is not None else self.rows.predicted)
        return 1 + max(int(some.max(initial=-1)) for some in known)

    def take(self, rows: NDArray[Any]) -> Baseline:
        """Return the rows of a mask."""
        more = {name: getattr(self, name) for name in ("labels", "clusters")}
        more = {name: None if values is None else values[rows] for name, values in more.items()}
        return replace(self, rows=self.rows.take(rows), wrong=self.wrong[rows], **more)

    def only(self, estimators: Sequence[bool]) -> Baseline:
        """Return the same rows with some of the estimators."""
        return replace(self, rows=replace(self.rows, scores=self.rows.scores[:, np.array(estimators)]))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all there is as arrays, for the artifact."""
        arrays = {f.name: getattr(self.rows, f.name) for f in fields(self.rows)}
        arrays |= {
            "wrong": self.wrong,
            "temperature": np.array([self.temperature]),
            "between": np.array([self.between]),
        }
        optional = {"labels": self.labels, "clusters": self.clusters}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        return {_PREFIX + name: array for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `to_arrays`."""
        rows = Rows(**{f.name: arrays[_PREFIX + f.name] for f in fields(Rows)})
        known = (arrays[_PREFIX + "wrong"], float(arrays[_PREFIX + "temperature"][0]))
        between = float(arrays.get(_PREFIX + "between", np.array([BETWEEN]))[0])
        return cls(rows, *known, arrays.get(_PREFIX + "labels"), arrays.get(_PREFIX + "clusters"), between)


BASELINE_ARRAYS = tuple(_PREFIX + name for name in (*(f.name for f in fields(Rows)), "wrong", "temperature"))
"""Names of the arrays in an artifact."""


def rows_of_signals(signals: Signals, p_wrong: Floats, probs: Floats, temperature: float = 1.0) -> Rows:
    """Return what monitoring reads, from what p_wrong is computed from and the classifier's probabilities (n, c)."""
    confidence, neg_entropy = certainty(probs, temperature, multilabel=bool((signals.predicted < 0).any()))
    return Rows(
        scores=signals.scores.astype(np.float32),
        context=signals.context.astype(np.float32),
        predicted=np.asarray(signals.predicted, dtype=np.int64),
        p_wrong=np.asarray(p_wrong, dtype=np.float32),
        confidence=confidence.astype(np.float32),
        neg_entropy=neg_entropy.astype(np.float32),
    )


def rows_of_table(
    batches: Iterable[pa.RecordBatch], estimators: Sequence[str], context: Sequence[str], temperature: float
) -> Rows:
    """Return what monitoring reads of the readable rows of a verdict table, batch by batch.

    `estimators` and `context` are the names behind `est_` and `quality_`, in the order of the screener. Raises
    InputError for a column that is absent: the table is of another screener.
    """
    wide = ([f"est_{name}" for name in estimators], [f"quality_{name}" for name in context])
    parts = []
    for batch in batches:
        _check_columns(batch, [*wide[0], *wide[1], "p_wrong", "predicted_index", "error"])
        readable = batch.filter(batch["error"].is_null())
        predicted = _predicted(readable)
        scores, quality = (_matrix(readable, names) for names in wide)
        known = Signals(scores, quality, predicted)
        parts.append(rows_of_signals(known, _column(readable, "p_wrong"), _probs(readable), temperature))
    if not parts:
        raise InputError("there are no verdicts to monitor; run `uncertainty screen` first")
    return Rows(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Rows)})


def _check_columns(batch: pa.RecordBatch, names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in batch.schema.names]:
        raise InputError(f"the verdicts have no column {missing[0]!r}: they are of another screener; screen again")


def _column(batch: pa.RecordBatch, name: str, missing: float = np.nan) -> Floats:
    values = batch[name].cast("float64").fill_null(missing).to_numpy(zero_copy_only=False)
    if np.isnan(values).any():
        raise InputError(f"the column {name!r} is empty in rows that were read; screen again")
    return np.asarray(values, dtype=np.float64)


def _predicted(batch: pa.RecordBatch) -> NDArray[np.int64]:
    predicted = _column(batch, "predicted_index", missing=SEVERAL_SAID).astype(np.int64)
    if "predicted_label" not in batch.schema.names:
        return predicted
    nothing = np.array([not label for label in batch["predicted_label"].to_pylist()], dtype=bool)
    return np.where(nothing & (predicted < 0), NOTHING_SAID, predicted)


def _matrix(batch: pa.RecordBatch, names: Sequence[str]) -> Floats:
    return np.stack([_column(batch, name) for name in names], axis=1) if names else np.empty((len(batch), 0))


def _probs(batch: pa.RecordBatch) -> Floats:
    names = [name for name in batch.schema.names if name.startswith("prob_")]
    if names:
        return _matrix(batch, names)
    _check_columns(batch, ["probs"])
    # Where nothing could be read, nothing tells how many classes there are, and nothing asks.
    return np.array(batch["probs"].to_pylist(), dtype=np.float64).reshape(len(batch), -1 if len(batch) else 1)


def certainty(probs: Floats, temperature: float = 1.0, *, multilabel: bool = False) -> tuple[Floats, Floats]:
    """Return (n,) confidence and (n,) negative entropy of probabilities (n, c), each to the power 1 / temperature.

    A temperature of ½ squares the odds: 3 to 1 becomes 9 to 1.

    >>> certainty(np.array([[0.25, 0.75]]), 0.5)[0].round(3).tolist()
    [0.9]
    """
    if multilabel:
        sides = np.stack([probs, 1 - probs], axis=2)
        entropy = (sides * np.log(np.maximum(sides, _TINY))).sum(axis=(1, 2))
        return sides.max(axis=2).min(axis=1, initial=1), entropy
    z = np.log(np.maximum(probs, _TINY)) / temperature
    p = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    p /= p.sum(axis=1, keepdims=True)
    return p.max(axis=1, initial=0), (p * np.log(np.maximum(p, _TINY))).sum(axis=1)


def fitted_temperature(probs: Floats, wrong: NDArray[np.bool_]) -> float:
    """Return the temperature, in 0.1..10, that makes the confidence the best probability of being right (log loss).

    Guo et al. 2017, for the predicted class alone. Half of the sure predictions are wrong, so nothing is known:

    >>> fitted_temperature(np.array([[0.9, 0.1]] * 4), np.array([True, False, True, False])) > 9
    True
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        right = certainty(probs, float(np.exp(log_temperature)))[0]
        return float(-np.log(np.maximum(np.where(wrong, 1 - right, right), 1e-7)).mean())

    if not len(wrong):
        return 1.0
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded").x))
