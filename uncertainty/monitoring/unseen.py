"""What is not like calibration: how many images at least, and how far off accuracy may be for such images.

Which way a screener errs on damage that it never saw can't be known, but how far can: by leaving kinds of damage out.
A screener that learns from the other kinds estimates how often images of this one are misjudged, and on the scale of
log-odds its mistakes are about as large for rare errors as for frequent ones, and for one classifier as for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import combined_without
from uncertainty.combination.mixture import Condition, Floats, Mixture, expit, logit
from uncertainty.metrics.intervals import Interval
from uncertainty.monitoring.accuracy import ADAPTED, P_WRONG, Accuracy, conditions_in, most_foreign
from uncertainty.monitoring.baseline import BETWEEN, Baseline, Rows
from uncertainty.monitoring.drift import values_of

_PARTS = 7
_MOST = 6000  # rows that a left-out kind is judged by: more cost time and change little
_PRIOR = 4.0  # kinds of damage that BETWEEN counts as
_GRID = np.arange(0.05, 3.0, 0.05)
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_TWO_SIDED = 1.959964
_MOST_UNEXPLAINED = 0.2
_SURE = 0.05


@dataclass(frozen=True)
class Changed:
    """How many images are not like calibration.

    `share` is the largest difference, over scores and image statistics, of two distribution functions: where a share s
    of a batch changed and the rest is like calibration, no difference is above s. `at_least` is what is left of it when
    both are as far off as random draws are in 5 % of cases.
    """

    share: float
    at_least: float

    def in_words(self) -> str:
        """Say it as a share.

        >>> Changed(0.8, 0.62).in_words(), Changed(0.1, 0.0).in_words()
        ('more than half of them (62 % at least)', 'some of them')
        """
        words = [(0.9, "nearly all"), (0.75, "more than three quarters"), (0.5, "more than half")]
        words += [(0.25, "more than a quarter"), (0.1, "more than a tenth")]
        word = next((word for least, word in words if self.at_least >= least), "some")
        least = f" ({100 * self.at_least:.0f} % at least)" if self.at_least >= words[-1][0] else ""
        return f"{word} of them{least}"


def changed(known: Rows, seen: Rows) -> Changed:
    """Compare a batch with calibration, column by column (Kolmogorov 1933; bound of Dvoretzky, Kiefer and Wolfowitz).

    Bound for m columns, n and N rows: √(ln(2 m / 0.05) / 2) · (1/√n + 1/√N).
    """
    columns = list(zip(values_of(known).T, values_of(seen).T, strict=True))
    share = max((_largest_difference(a, b) for a, b in columns), default=0.0)
    doubt = np.sqrt(np.log(2 * max(len(columns), 1) / _SURE) / 2) * (len(seen) ** -0.5 + len(known) ** -0.5)
    return Changed(share, max(0.0, share - float(doubt)))


def _largest_difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Of the distribution functions of two samples.

    >>> _largest_difference(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 9.0]))
    0.75
    """
    at = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(values), at, side="right") / len(values) for values in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def under_alarm(found: Accuracy, baseline: Baseline, batch: Rows) -> Accuracy:
    """Widen the intervals that rest on p_wrong: this batch is not like calibration, so calibration tells less of it.

    The log-odds of an error may be off by 1.96 `baseline.between`, but by no more errors than images changed
    (`Changed.share`); that and chance are added as squares. Images that changed, and that no condition explains, may be
    wrong all of them, up to a fifth. Where only the shares of the classes changed, all stays as it is.
    """
    if found.class_shift is not None:
        return found
    share = changed(baseline.rows, batch).share
    explained = sum(of for name, of in found.shares.items() if name != "clean")
    unexplained = min(max(0.0, share - explained), _MOST_UNEXPLAINED)

    def wider(interval: Interval) -> Interval:
        return widened(interval, baseline.between, share, unexplained)

    estimates = {k: wider(one) if k in (ADAPTED, P_WRONG) else one for k, one in found.estimates.items()}
    return replace(
        found,
        estimates=estimates,
        if_unknown=found.if_unknown and wider(found.if_unknown),
        per_class={k: (n, one and wider(one)) for k, (n, one) in found.per_class.items()},
    )


def widened(accuracy: Interval, between: float, share: float, unexplained: float = 0.0) -> Interval:
    """Return an interval of accuracy in which the log-odds of an error may be off by 1.96 `between`; see `under_alarm`.

    One error in five; log-odds off by 1.96 · 0.5 make it 0.4 or 0.086:

    >>> found = widened(Interval(0.8, 0.8, 0.8), between=0.5, share=1.0)
    >>> round(found.low, 3), found.value, round(found.high, 3)
    (0.6, 0.8, 0.914)
    """
    error = 1 - accuracy.value
    lower, upper = expit(logit(error) + np.array([-1, 1]) * _TWO_SIDED * between)
    more, fewer = min(float(upper) - error, share), min(error - float(lower), share)
    # An end may be cut off at 0 or 1; the other one still tells how far chance goes.
    chance = max(accuracy.high - accuracy.value, accuracy.value - accuracy.low)
    low = accuracy.value - float(np.hypot(chance, more)) - unexplained
    return Interval(max(0.0, low), accuracy.value, min(1.0, accuracy.value + float(np.hypot(chance, fewer))))


def between_kinds(
    evidence: Evidence, combiner: Mixture, declared: dict[Condition, float], kinds: Sequence[str], seed: int = 0
) -> float:
    """Return how far the log-odds of an error are off on damage that was never seen, one standard deviation.

    `kinds` say of each damaged row of the evidence what was done to it. Kinds are left out, a seventh of them at a
    time; without them the combiner is fitted again, and the error rate of each is estimated as that of a batch. The
    errors of kind k are then binomial with log-odds logit(estimate) + τ z, z normal. τ is the most likely one, with
    BETWEEN counting as four kinds; it is BETWEEN where no damage was learnt.
    """
    from threadpoolctl import threadpool_limits

    if "damaged" not in combiner.gates:
        return BETWEEN
    of = np.full(len(evidence.wrong), "", dtype=object)
    of[evidence.rows("damaged")] = list(kinds)
    if len(of) > _MOST:
        some = np.zeros(len(of), dtype=bool)
        some[np.random.default_rng([seed, 15]).permutation(len(of))[:_MOST]] = True
        evidence, of = evidence.take(some), of[some]
    names = sorted(set(of.tolist()) - {""})
    found = []
    for part in np.array_split(np.array(names, dtype=object), min(_PARTS, len(names))) if len(names) > 1 else []:
        with threadpool_limits(limits=1):  # many small products, as in `combine`
            without = combined_without(evidence, np.isin(of, part), combiner)
        found += [_tried(without, declared, evidence.take(of == kind)) for kind in part]
    return _most_likely(found)


def _tried(combiner: Mixture, declared: dict[Condition, float], rows: Evidence) -> tuple[float, int, int]:
    """Estimated error rate of rows, their errors and their number."""
    conditions, _ = conditions_in(combiner, declared, rows.signals)
    estimate = float(conditions.p_wrong(conditions.shares(most_foreign(combiner, declared))).mean())
    return estimate, int(rows.wrong.sum()), len(rows.wrong)


def _most_likely(found: Sequence[tuple[float, int, int]]) -> float:
    """τ, from estimates, errors and rows of each kind.

    >>> _most_likely([]), _most_likely([(0.1, 300, 1000), (0.4, 150, 1000)]) > _most_likely([(0.1, 100, 1000)] * 2)
    (0.6, True)
    """
    log_likelihood = -_PRIOR / 2 * np.log(_GRID**2) - _PRIOR * BETWEEN**2 / (2 * _GRID**2)
    for estimate, errors, n in found:
        rate: Floats = expit(logit(estimate) + _GRID[:, None] * _NODES)
        logs = errors * np.log(rate) + (n - errors) * np.log1p(-rate)
        top = logs.max()
        log_likelihood += np.log(np.exp(logs - top) @ _NODE_WEIGHTS + np.finfo(np.float64).tiny) + top
    return round(float(_GRID[log_likelihood.argmax()]), 2)
