"""The numbers behind the charts: each is computed here, by `uncertainty.metrics` where it has a name, and only drawn
in the page.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics

MOST_POINTS = 240
MOST_STEPS = 1000
HISTOGRAM_BINS = 20
RELIABILITY_BINS = 15  # those of `metrics.ece`
_Z95 = 1.959963984540054
EXACT = 9
"""Digits that tell a float32 exactly: what is rounded twice, here and where it is shown, may end up beside itself."""


def risk_coverage(wrong: NDArray[np.bool_], scores: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return risk by coverage for each score and for a perfect ranking, thinned to some hundred points.

    >>> curve = risk_coverage(np.array([False, True]), {"p_wrong": np.array([0.1, 0.9])})
    >>> curve["coverage"], curve["risk"]["p_wrong"], curve["risk"]["perfect"]
    ([0.5, 1.0], [0.0, 0.5], [0.0, 0.5])
    """
    named = {**scores, "perfect": wrong.astype(np.float64)}
    shown = np.unique(np.linspace(0, max(len(wrong) - 1, 0), MOST_POINTS).round().astype(int))[: len(wrong)]
    curves = {name: metrics.risk_coverage_curve(wrong, score)[1][shown] for name, score in named.items()}
    return {
        "coverage": rounded((shown + 1) / max(len(wrong), 1)),
        "risk": {name: rounded(risk) for name, risk in curves.items()},
    }


def histogram(p_wrong: NDArray[np.float64], groups: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """Count p_wrong in twenty equal bins of 0..1, for each group of rows.

    >>> counted = histogram(np.array([0.01, 0.02, 1.0]), {"all": np.array([True, True, True])})
    >>> counted["counts"]["all"][0], counted["counts"]["all"][-1], counted["edges"][1]
    (2, 1, 0.05)
    """
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = {name: np.histogram(p_wrong[rows], edges)[0].tolist() for name, rows in groups.items()}
    return {"edges": rounded(edges), "counts": counts}


def reliability(wrong: NDArray[np.bool_], p_wrong: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return mean p_wrong and share of errors in the bins that `metrics.ece` adds up, with 95 % Wilson intervals.

    >>> bins = reliability(np.array([False, True]), np.array([0.2, 0.6]))
    >>> [(b["n"], b["predicted"], b["observed"]) for b in bins]
    [(1, 0.2, 0.0), (1, 0.6, 1.0)]
    """
    n = len(wrong)
    order = np.argsort(p_wrong, kind="stable")
    _, firsts, counts = np.unique(p_wrong[order], return_index=True, return_counts=True)
    in_ties = np.add.reduceat(wrong[order].astype(float), firsts) / counts if n else np.empty(0)
    spread = np.repeat(in_ties, counts)  # a tie that a bin's edge cuts shares its errors evenly
    edges = np.arange(RELIABILITY_BINS + 1) * n // RELIABILITY_BINS
    bins = []
    for low, high in pairwise(edges):
        if high > low:
            size, errors = int(high - low), float(spread[low:high].sum())
            interval = wilson(errors, size)
            predicted = float(p_wrong[order][low:high].mean())
            bins.append(dict(n=size, predicted=predicted, observed=errors / size, low=interval[0], high=interval[1]))
    return bins


def wilson(count: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share (Wilson 1927).

    Of none in ten: 0 to z²/(10 + z²) = 3.8415/13.8415.

    >>> [round(bound, 4) for bound in wilson(0, 10)]
    [0.0, 0.2775]
    """
    share, z2 = count / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def budgets(
    p_wrong: NDArray[np.float64], labelled: NDArray[np.bool_], wrong: NDArray[np.bool_], flagged: int
) -> dict[str, list[float]]:
    """Return what looking at the k most suspicious images would give, for k from none to all.

    Rows are readable images, the most suspicious first. For each `k`: `threshold`, the lowest p_wrong looked at;
    `expected`, the sum of p_wrong; of those with a label, how many are looked at (`labelled`) and are errors
    (`caught`). Above a thousand rows k goes in steps of a thousandth, and `flagged` is one of them.

    >>> budgets(np.array([0.9, 0.4]), np.array([True, True]), np.array([True, False]), 1)["caught"]
    [0, 1, 1]
    """
    n = len(p_wrong)
    k = np.unique(np.append(np.linspace(0, n, min(n, MOST_STEPS) + 1).round().astype(int), flagged))
    sums = [np.append(0, np.cumsum(column))[k] for column in (p_wrong, labelled, wrong & labelled)]
    return {
        "k": k.tolist(),
        "threshold": rounded(np.append(1.0, p_wrong)[k], EXACT),
        "expected": rounded(sums[0]),
        "labelled": sums[1].astype(int).tolist(),
        "caught": sums[2].astype(int).tolist(),
    }


def percentiles(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n,) whole percents: how many of the values are smaller, ties counted half; NaN gives -1.

    >>> percentiles(np.array([3.0, 1.0, np.nan, 2.0])).tolist()
    [83, 17, -1, 50]
    """
    known = np.isfinite(values)
    ordered = np.sort(values[known])
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.where(known, (50 * below / max(len(ordered), 1)).round(), -1).astype(np.int64)


def rounded(values: Any, digits: int = 6) -> list[float]:
    """Return numbers short enough to be embedded."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64).tolist()]
