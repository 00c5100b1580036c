"""Has a batch left what calibration covered? Exact permutation tests of everything that p_wrong reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats
from uncertainty.metrics.intervals import Groups
from uncertainty.monitoring.baseline import Rows

FEWEST = 20
"""Rows, of a batch or of calibration, below which nothing is said."""
FALSE_ALARMS = 0.01
PERMUTATIONS = 999
PREDICTED = "predicted class"
_SHOWN = 10
_MOST = 2000  # rows of each side that are compared: more would find changes too small to matter
_LEVELS = np.array([0.01, 0.02, 0.05, *np.arange(0.1, 0.95, 0.05), 0.95, 0.98, 0.99])


@dataclass(frozen=True)
class Column:
    """A column that is tested: its name, and the kind of evidence it is, such as softmax, neighbours or image."""

    name: str
    kind: str


@dataclass(frozen=True)
class Change:
    """One column against calibration: p-value adjusted for all columns, and where the batch's median lies.

    `median_at` is the share of calibration below it, ½ where nothing changed; None for predicted classes.
    """

    column: Column
    p_value: float
    median_at: float | None


@dataclass(frozen=True)
class Drift:
    """Whether a batch differs from calibration; `p_value` is None where there are too few rows to say.

    `changes` has every column, the most changed first; `oddest` are positions of the rows that show it most, empty
    without alarm.
    """

    n: int
    p_value: float | None
    level: float
    changes: tuple[Change, ...]
    oddest: tuple[int, ...]

    @property
    def alarm(self) -> bool:
        """Whether the p-value is at most the level."""
        return self.p_value is not None and self.p_value <= self.level

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of evidence that changed significantly, the most changed first."""
        return tuple(dict.fromkeys(c.column.kind for c in self.changes if self.alarm and c.p_value <= self.level))


def detect(
    calibration: Rows,
    batch: Rows,
    columns: Sequence[Column],
    *,
    level: float = FALSE_ALARMS,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    groups: tuple[Groups, Groups] = (None, None),
) -> Drift:
    """Test whether a batch could be more rows of calibration.

    `columns` name scores, then context. p_wrong itself is not tested: its model has seen the calibration rows.

    For every column the batch is compared with calibration by a binned Anderson–Darling statistic, predicted classes by
    chi-square. All are computed again for random divisions of the pooled rows, cube roots standardised over divisions,
    and their largest compared (Westfall & Young 1993): p = (1 + divisions with a largest at least as large) / (1 +
    divisions). While rows are exchangeable, P(p <= level) <= level exactly, for any sizes and any dependence between
    columns. Of more than 2,000 rows on either side, 2,000 random ones are compared.

    `groups` (of calibration, of the batch) say which rows belong together; then whole groups are divided. Where only
    one side has them, one row of each of its groups is compared with the rows of the other.
    """
    rng = np.random.default_rng(seed)
    of_known, of_seen = (_some(rows, of, rng) for rows, of in zip((calibration, batch), _alike(groups), strict=True))
    if min(len(of_known), len(of_seen)) < FEWEST:
        return Drift(len(batch), None, level, (), ())
    known, seen = calibration.take(of_known), batch.take(of_seen)
    values = np.concatenate([values_of(seen), values_of(known)])
    predicted = np.concatenate([seen.predicted, known.predicted])
    named = [*columns, *([Column(PREDICTED, PREDICTED)] if (predicted >= 0).all() else [])]
    units = None
    if groups[0] is not None and groups[1] is not None:
        units = (groups[1][of_seen], groups[0][of_known])
    z = permuted(values, predicted, len(seen), permutations, rng, units)
    largest = z.max(axis=1)
    p = [(largest >= z[0, j]).mean() for j in range(len(named))]
    medians = [*_median_at(values_of(known), values_of(seen)), None]
    changes = [Change(column, float(p[j]), medians[j]) for j, column in enumerate(named)]
    order = np.argsort(-z[0], kind="stable")
    drift = Drift(len(batch), float((largest >= largest[0]).mean()), level, tuple(changes[j] for j in order), ())
    if not drift.alarm:
        return drift
    shown = [j for j in order if changes[j].p_value <= level and j < len(columns)]
    odd = oddness(values_of(calibration)[:, shown], values_of(batch)[:, shown])
    return replace(drift, oddest=tuple(np.argsort(-odd, kind="stable")[: _SHOWN if shown else 0].tolist()))


def _alike(groups: tuple[Groups, Groups]) -> tuple[Groups, Groups]:
    """The groups of the side that alone has them: of these one row each is taken."""
    both = groups[0] is not None and groups[1] is not None
    return (None, None) if both else groups


def _some(rows: Rows, groups: Groups, rng: np.random.Generator) -> NDArray[np.int64]:
    order = rng.permutation(len(rows))
    if groups is not None:
        order = order[np.sort(np.unique(groups[order], return_index=True)[1])]
    return order[:_MOST]


def looks_alike(
    known: Rows, seen: Rows, *, level: float = FALSE_ALARMS, seed: int = 0, groups: tuple[Groups, Groups] = (None, None)
) -> bool:
    """Whether rows that were seen could be more of those known: `detect`, without a word about what differs."""
    columns = [Column(str(k), "") for k in range(values_of(known).shape[1])]
    return not detect(known, seen, columns, level=level, seed=seed, groups=groups).alarm


def values_of(rows: Rows) -> NDArray[np.float32]:
    """Return (n, m + q) scores and context side by side."""
    return np.concatenate([rows.scores, rows.context], axis=1)


def permuted(
    values: NDArray[np.floating],
    predicted: NDArray[np.int64],
    n: int,
    permutations: int,
    rng: np.random.Generator,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Floats:
    """Return (1 + permutations, columns) standardised statistics; the first row is that of the first n rows.

    The other rows belong to n rows drawn at random, or to as many whole groups as the first n and the others come in;
    to each division of the rows the same is done.
    """
    if groups is None:
        chosen = _divisions(len(values), n, permutations, rng)
    else:
        first, others = (np.unique(of, return_inverse=True)[1] for of in groups)
        k = int(first.max()) + 1
        of_groups = _divisions(k + int(others.max()) + 1, k, permutations, rng)
        chosen = of_groups[:, np.concatenate([first, k + others])]
    rows = chosen.sum(axis=1, keepdims=True, dtype=np.float64)
    statistics = [_anderson_darling(chosen, column, rows) for column in values.T]
    if (predicted >= 0).all():
        statistics.append(_chi_square(chosen, predicted, rows))
    roots = np.cbrt(np.stack(statistics, axis=1))
    spread = roots.std(axis=0)
    # Rounded, so that divisions that are alike but for the last bit tie.
    return np.asarray(np.round((roots - roots.mean(axis=0)) / np.where(spread > 0, spread, 1), 9))


def _divisions(total: int, n: int, permutations: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(1 + permutations, total) ones for the first n, and for n drawn at random."""
    chosen = np.zeros((1 + permutations, total), dtype=np.float32)
    chosen[0, :n] = 1
    for division in chosen[1:]:  # all at once would take five times the memory of what comes of it
        division[np.argpartition(rng.random(total), n - 1)[:n]] = 1
    return chosen


def _anderson_darling(chosen: NDArray[np.float32], column: NDArray[np.floating], n: Floats) -> Floats:
    """Σ over pooled quantiles of (share of the chosen up to there - share of all)² / (share of all · the rest)."""
    edges = np.unique(np.quantile(column, _LEVELS, method="inverted_cdf"))
    below = (column[:, None] <= edges).astype(np.float32)
    share = below.mean(axis=0, dtype=np.float64)
    kept = share < 1
    found = (chosen @ below[:, kept]).astype(np.float64) / n
    return np.asarray(((found - share[kept]) ** 2 / (share[kept] * (1 - share[kept]))).sum(axis=1))


def _chi_square(chosen: NDArray[np.float32], predicted: NDArray[np.int64], n: Floats) -> Floats:
    """Σ over classes of (chosen - expected)² / expected."""
    classes, codes = np.unique(predicted, return_inverse=True)
    one_hot = (codes[:, None] == np.arange(len(classes))).astype(np.float32)
    expected = n * one_hot.mean(axis=0, dtype=np.float64)
    found = (chosen @ one_hot).astype(np.float64)
    return np.asarray(((found - expected) ** 2 / expected).sum(axis=1))


def _median_at(calibration: NDArray[np.floating], batch: NDArray[np.floating]) -> list[float | None]:
    """Where the medians of the batch lie in calibration; rows tied with them count half."""
    middle = np.median(batch, axis=0)
    return [*((calibration < middle).mean(axis=0) / 2 + (calibration <= middle).mean(axis=0) / 2).tolist()]


def oddness(calibration: NDArray[np.floating], batch: NDArray[np.floating]) -> Floats:
    """Return (n,) how far out a row is: mean over columns of −ln of its two-sided tail in calibration.

    Three calibration values; 9 lies beyond all of them, with a tail of 2 · 1 / 4; 2 lies in the middle:

    >>> oddness(np.array([[1.0], [2.0], [3.0]]), np.array([[9.0], [2.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    total = np.zeros(len(batch))
    for known, seen in zip(np.sort(calibration, axis=0).T, batch.T, strict=True):
        above = len(known) - np.searchsorted(known, seen, side="left")
        below = np.searchsorted(known, seen, side="right")
        total -= np.log(np.minimum(1.0, 2 * (1 + np.minimum(above, below)) / (len(known) + 1)))
    return np.asarray(total / max(batch.shape[1], 1))
