"""Calibration rows as a combiner learns from them: what estimators say of each, and how probably it is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Condition, Floats, Scale, Signals

CONDITIONS: tuple[Condition, ...] = ("clean", "damaged", "foreign")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Calibration rows.

    Parameters
    ----------
    names, scales : (m,) of the estimators.
    start : (m,) above 0 for those that the combination starts from, before errors speak; all of them where there is
        none. Its weight falls to 0 as the share of right rows with a score above a half goes from 0 to twice this.
    posterior : (m,) those that are log-odds of an error themselves, learnt from labels.
    signals : of n rows.
    classes : number of classes; 0 where images have several labels.
    wrong : (n,) whether the classifier was wrong.
    condition : (n,) position in CONDITIONS.
    weights : (n,) what a row counts: 1 if clean, unless rows were drawn with unequal chances (see `sampling.py`);
        copies so much that each condition has its declared share.
    groups : (n,) the image that a row comes from; copies are in the fold of their original.
    clusters : (n,) which images belong together, such as frames of a film; they share a fold. None: none do.
    far : (m,) those that are distances to known-good images; None: none are.
    unknown : odds of an image of no known class against a clean one, where there are no foreign rows to learn from.
    chance : (n,) how probable an error is, which experts learn, where it is not known: `wrong` is drawn with it, see
        `unknown_answers`. None: all is as `wrong` says.
    shares : (n, 3) how probable each of CONDITIONS is, of rows whose condition nobody knows, which `condition` calls
        clean: see `unknown_condition`. None: all are as `condition` says.

    """

    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    start: Floats
    posterior: NDArray[np.bool_]
    signals: Signals
    classes: int
    wrong: NDArray[np.bool_]
    condition: NDArray[np.int64]
    weights: Floats
    groups: NDArray[np.int64]
    clusters: NDArray[np.int64] | None = None
    far: NDArray[np.bool_] | None = None
    unknown: float = 0.0
    chance: Floats | None = None
    shares: Floats | None = None

    def rows(self, condition: Condition) -> NDArray[np.bool_]:
        """(n,) which rows are of a condition."""
        return np.asarray(self.condition == CONDITIONS.index(condition))

    def counts(self, condition: Condition) -> Floats:
        """(n,) what each row counts among those of a condition, copies all the same; 0 where it is of another."""
        of_it = self.rows(condition)
        if self.shares is None:
            return np.where(of_it, self.weights if condition == "clean" else 1.0, 0.0)
        part = self.shares[:, CONDITIONS.index(condition)]
        return np.asarray(part * np.where(of_it & (condition != "clean"), 1.0, self.weights))

    def only(self, columns: NDArray[np.bool_]) -> Evidence:
        """Return the same rows with some of the estimators."""
        kept = np.flatnonzero(columns)
        return replace(
            self,
            names=tuple(self.names[k] for k in kept),
            scales=tuple(self.scales[k] for k in kept),
            start=self.start[kept],
            posterior=self.posterior[kept],
            far=None if self.far is None else self.far[kept],
            signals=replace(self.signals, scores=self.signals.scores[:, kept]),
        )

    def take(self, rows: NDArray[np.bool_]) -> Evidence:
        """Return the rows of a mask."""
        facts = {name: getattr(self, name)[rows] for name in ("wrong", "condition", "weights", "groups")}
        more = {name: getattr(self, name) for name in ("clusters", "chance", "shares")}
        more = {name: None if values is None else values[rows] for name, values in more.items()}
        return replace(self, signals=self.signals.take(rows), **facts, **more)

    @property
    def taught(self) -> Floats | NDArray[np.bool_]:
        """(n,) what an expert learns."""
        return self.wrong if self.chance is None else self.chance

    @property
    def by_distance(self) -> bool:
        """Whether images of no known class are told by distance, for want of foreign rows."""
        return bool(self.unknown > 0 and self.far is not None and self.far.any() and not self.rows("foreign").any())

    def errors(self, condition: Condition) -> int:
        """Return the number of errors among the rows of a condition."""
        return int(self.wrong[self.rows(condition)].sum())
