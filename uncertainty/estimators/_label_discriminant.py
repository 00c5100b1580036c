"""Linear discriminant analysis of label sets: each label adds a step of its own to the mean of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._covariance import shrunk_covariance
from uncertainty.estimators._label_vote import carried_share
from uncertainty.outputs import ModelOutputs

Array = NDArray[np.float64]

_STEP_RIDGE = 1.0  # rows that say a label's step is 0
_WORK = 2e10  # multiplications for the covariance, of rows at random where there are more
# Estimators that are fitted on the same reference share what it taught; it is forgotten together with the rows.
_LEARNT: WeakKeyDictionary[ModelOutputs, dict[str, LabelDiscriminant]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class LabelDiscriminant:
    """log P(x | y with c) / P(x | y without c) = lines_c · x - origins_c - Σ_{j ≠ c} y_j gram_jc - gram_cc / 2.

    Rows x are taken to be normal around μ + Σ_c y_c δ_c with one covariance Σ for all label sets y.

    Parameters
    ----------
    lines : (c, d) Σ⁻¹ δ_c.
    origins : (c,) lines_c · μ.
    gram : (c, c) δ_jᵀ Σ⁻¹ δ_c.

    """

    lines: Array
    origins: Array
    gram: Array

    @classmethod
    def fit(cls, x: Array, labels: NDArray[np.signedinteger]) -> Self:
        """Learn from rows (m, d) and their labels (m, c) of 1, 0 and -1, an answer that nobody knows.

        μ and δ are least squares, δ with a ridge of one row; Σ is that of what is left, shrunk by Ledoit & Wolf's rule.
        An answer that nobody knows counts as the share of images that carry the label.
        """
        given = np.where(labels < 0, carried_share(labels), labels)
        mean, share = x.mean(axis=0), given.mean(axis=0)
        y, centred = given - share, x - mean
        steps: Array = np.linalg.solve(y.T @ y + _STEP_RIDGE * np.eye(y.shape[1]), y.T @ centred)
        covariance = shrunk_covariance(centred - y @ steps) if len(x) > 1 else np.eye(x.shape[1])
        lines = np.asarray(np.linalg.solve(covariance, steps.T).T, dtype=np.float64)
        return cls(lines, np.asarray(lines @ (mean - share @ steps), dtype=np.float64), steps @ lines.T)

    def __call__(self, x: Array, carried: Array) -> Array:
        """Return (n, c) the log-odds that each label is carried, the others carried as `carried` (n, c) in 0..1 says.

        Labels at (1, 0) and (0, 1) of Σ = I: a row at (1, 1) is likelier to carry both.

        >>> both = LabelDiscriminant(np.eye(2), np.zeros(2), np.eye(2))
        >>> both(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]])).tolist()
        [[0.5, 0.5]]
        """
        own = np.diag(self.gram)
        return np.asarray(x @ self.lines.T - self.origins - carried @ self.gram + (carried - 0.5) * own)


def label_discriminant(reference: ModelOutputs, column: str) -> LabelDiscriminant:
    """Learn from features or embedding of all reference rows, whose labels are what is predicted where there are none.

    The same whatever the order of the rows.
    """
    learnt = _LEARNT.setdefault(reference, {})
    if column not in learnt:
        x = np.asarray(getattr(reference, column), dtype=np.float64)
        order = np.argsort(reference.ids, kind="stable")
        rows = order[np.random.default_rng(0).permutation(len(x))[: max(2, int(_WORK / x.shape[1] ** 2))]]
        labels = reference.labels if reference.has("labels") else reference.predictions
        learnt[column] = LabelDiscriminant.fit(x[rows], labels[rows])
    return learnt[column]
