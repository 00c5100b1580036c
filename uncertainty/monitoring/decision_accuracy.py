"""Several labels an image: how many decisions of a batch are right, of all and of each class, without labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats
from uncertainty.labels.tables import table_decisions
from uncertainty.metrics.intervals import Groups, Interval, largest_factor, rows_apart
from uncertainty.monitoring.drift import FEWEST
from uncertainty.monitoring.unseen import widened

if TYPE_CHECKING:
    import pyarrow as pa

_TWO_SIDED = 1.959964


@dataclass(frozen=True, eq=False)
class KnownDecisions:
    """Decisions of calibration rows: `p_wrong` (m, c), judged without the row, and `wrong` (m, c) 1, 0 or -1, unknown.

    `clusters` (m,) say which rows belong together; None where nobody said so.
    """

    p_wrong: NDArray[np.floating]
    wrong: NDArray[np.signedinteger]
    clusters: NDArray[np.int64] | None = None

    @property
    def away(self) -> Floats:
        """(m, c) errors less p_wrong; NaN where nobody knows."""
        return np.where(self.wrong >= 0, (self.wrong == 1) - self.p_wrong.astype(np.float64), np.nan)


@dataclass(frozen=True)
class DecisionAccuracy:
    """Share of right decisions among those of `n` images: of all of them, and by class, None where too few tell."""

    n: int
    overall: Interval
    per_class: tuple[Interval | None, ...]

    def under_alarm(self, between: float, share: float) -> DecisionAccuracy:
        """Widen all intervals, as `unseen.widened` does those of images: calibration tells less of this batch."""
        wider = tuple(one and widened(one, between, share) for one in self.per_class)
        return DecisionAccuracy(self.n, widened(self.overall, between, share), wider)


@dataclass
class DecisionSums:
    """Sums over images of the p_wrong of their decisions, gone through batch by batch; `classes` name them."""

    classes: tuple[str, ...]
    n: int = 0
    p: Floats = field(default_factory=lambda: np.zeros(0))
    variance: Floats = field(default_factory=lambda: np.zeros(0))

    def add(self, rows: pa.RecordBatch) -> None:
        """Count rows that were read; where they tell no p_wrong of decisions, none."""
        import pyarrow as pa

        if (told := table_decisions(pa.Table.from_batches([rows]), self.classes)) is None:
            return
        p = told[~np.isnan(told).any(axis=1)].astype(np.float64)
        self.n += len(p)
        self.p = p.sum(axis=0) + (self.p if len(self.p) else 0)
        self.variance = (p * (1 - p)).sum(axis=0) + (self.variance if len(self.variance) else 0)


def decision_accuracy(known: KnownDecisions, seen: DecisionSums, groups: Groups = None) -> DecisionAccuracy | None:
    """Return 1 − mean p_wrong of all decisions and of each class; None for fewer than 20 images, there or seen.

    Intervals are ± 1.96 √(chance + calibration). Of a class chance is Σ p (1 − p) / n², and calibration the variance of
    its errors less p_wrong over as many rows. Of all decisions both are by image, since those of one go wrong together:
    the variance over calibration rows of their mean error less p_wrong, over n and over the rows. `groups` (n,) say
    which images belong together.

    Twenty images whose two decisions are wrong with 0.5 and 0:

    >>> known = KnownDecisions(np.tile([0.5, 0.0], (20, 1)), np.tile([[1, 0], [0, 0]], (10, 1)))
    >>> seen = DecisionSums(("a", "b"), 20, np.array([10.0, 0.0]), np.array([5.0, 0.0]))
    >>> found = decision_accuracy(known, seen)
    >>> found.overall.value, round(found.overall.high, 3), found.per_class[1]
    (0.75, 0.905, Interval(low=1.0, value=1.0, high=1.0))
    """
    rows = (known.wrong >= 0).any(axis=1)
    if min(seen.n, int(rows.sum())) < FEWEST:
        return None
    factor = largest_factor(groups)
    clusters = None if known.clusters is None else known.clusters[rows]
    away = np.nanmean(known.away[rows], axis=1)
    each = float(np.mean(away**2))
    chance = max(each / seen.n, float(seen.variance.sum()) / (seen.n * len(seen.classes)) ** 2) * factor
    overall = _interval(float(seen.p.mean()) / seen.n, chance + each / rows_apart(away, clusters))
    return DecisionAccuracy(seen.n, overall, tuple(_of_class(known, seen, k, factor) for k in range(len(seen.classes))))


def _of_class(known: KnownDecisions, seen: DecisionSums, k: int, factor: float) -> Interval | None:
    rows = known.wrong[:, k] >= 0
    if int(rows.sum()) < FEWEST:
        return None
    p, away = known.p_wrong[rows, k].astype(np.float64), known.away[rows, k]
    each = max(float(np.mean(away**2)), float(np.mean(p * (1 - p))))
    clusters = None if known.clusters is None else known.clusters[rows]
    chance = float(seen.variance[k]) / seen.n**2 * factor
    return _interval(float(seen.p[k]) / seen.n, chance + each / rows_apart(away, clusters))


def _interval(error: float, variance: float) -> Interval:
    half = _TWO_SIDED * float(np.sqrt(variance))
    return Interval(max(0.0, 1 - error - half), 1 - error, min(1.0, 1 - error + half))
