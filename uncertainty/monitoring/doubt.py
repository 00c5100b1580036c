"""How far an accuracy that p_wrong predicts may be off: by chance, and by what calibration leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats
from uncertainty.metrics.intervals import Groups, Interval, rows_apart
from uncertainty.monitoring.baseline import Baseline

_STRATA = 10
_TWO_SIDED = 1.959964


@dataclass(frozen=True, eq=False)
class Doubt:
    """How far off accuracy may be: by chance, and by what calibration leaves open; `groups` (n,) of the batch."""

    baseline: Baseline
    groups: Groups = None

    def interval(self, p: Floats, spread: float = 0.0, among: NDArray[np.bool_] | None = None) -> Interval:
        """Accuracy 1 − mean p, and how far off the accuracy of these images may be; `among` are they of the batch."""
        known = calibration_variance(p, self.baseline) * self._together()
        half = _TWO_SIDED * np.sqrt(self._chance(p, among) + known + spread**2)
        accuracy = 1 - float(p.mean())
        return Interval(max(0.0, accuracy - half), accuracy, min(1.0, accuracy + half))

    def _chance(self, p: Floats, among: NDArray[np.bool_] | None) -> float:
        """Variance of the errors' number over n²: of a group those are correlated as in calibration, or wholly."""
        variance = p * (1 - p)
        if self.groups is None:
            return float(variance.sum()) / len(p) ** 2
        groups = self.groups if among is None else self.groups[among]
        wholly = np.bincount(np.unique(groups, return_inverse=True)[1], np.sqrt(variance))
        r = self._correlation
        return float((1 - r) * variance.sum() + r * (wholly @ wholly)) / len(p) ** 2

    @property
    def _away(self) -> Floats:
        return self.baseline.wrong - self.baseline.rows.p_wrong.astype(np.float64)

    def _together(self) -> float:
        """By how much more calibration leaves open for its rows belonging together."""
        return len(self.baseline.wrong) / rows_apart(self._away, self.baseline.clusters)

    @property
    def _correlation(self) -> float:
        """Of two errors of a group, beyond their p_wrong; 1 where calibration has no groups to tell."""
        if self.baseline.clusters is None:
            return 1.0
        of, away = np.unique(self.baseline.clusters, return_inverse=True)[1], self._away
        sums, squares, sizes = np.bincount(of, away), np.bincount(of, away**2), np.bincount(of)
        pairs, spread = float((sizes * (sizes - 1)).sum()), float(squares.sum() / len(away))
        if not pairs or not spread:
            return 1.0
        return float(np.clip((sums @ sums - squares.sum()) / pairs / spread, 0, 1))


def calibration_variance(p: Floats, baseline: Baseline) -> float:
    """Σ over strata of (share in the batch)² · mean p (1 − p) / rows of calibration."""
    known = baseline.rows.p_wrong.astype(np.float64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _STRATA + 1)[1:-1]))
    count = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    stratum = np.searchsorted(edges, p, side="right")
    share = np.bincount(stratum, minlength=len(count)) / len(p)
    spread = np.bincount(stratum, p * (1 - p), minlength=len(count)) / np.maximum(share * len(p), 1)
    return float((share**2 * spread / np.maximum(count, 1)).sum())
