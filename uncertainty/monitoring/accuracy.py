"""How accurate the classifier is on a batch without labels, by several estimates, each with a 95 % interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Condition, Floats, Mixture, Signals
from uncertainty.metrics.intervals import Groups, Interval
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.class_shares import ClassShift, class_shift, spread
from uncertainty.monitoring.doubt import Doubt

Estimate = Callable[[Rows, NDArray[np.bool_], Rows], float]
"""(calibration rows, whether they are wrong, batch) to accuracy."""

FEWEST = 20
"""Rows, of a batch or of calibration, below which nothing is said."""
ADAPTED, P_WRONG = "adapted", "p_wrong"
MOST_UNKNOWN = 0.05
"""Share of a batch that `adapted` takes to be of no known class at most, unless more was declared: what looks foreign
is mostly damage of a kind that calibration never saw, which nothing in the batch tells apart."""
MOST_DOUBT = 0.15
"""Standard error of the share of damaged images above which `adapted` leaves the shares as declared: then rows are few,
or damaged images look like any other."""
_MOST = 20_000  # rows from which shares are estimated, and in a simulated batch: more changes nothing that is shown
_ROWS_AT_ONCE = 4096
_RESAMPLES = 200


@dataclass(frozen=True)
class Accuracy:
    """Estimated accuracy of a batch; `estimates` is empty, and all is None, where there are too few rows.

    `estimates` holds an interval for each of `adapted`, the one to go by, `p_wrong`, `atc_confidence`, `atc_entropy`,
    `doc` and `average_confidence`. `shares` are the conditions' shares that `adapted` found in the batch. `unknown` is
    the share of the batch that looks like no known class rather than like known damage, and `if_unknown` the accuracy
    if that is what it is; None where that was not calibrated. `per_class` has, by predicted class, the number of rows
    and an interval, or None. `class_shift` has the shares of the classes where they changed and nothing else did.
    """

    n: int
    estimates: dict[str, Interval]
    shares: dict[Condition, float]
    unknown: float | None
    if_unknown: Interval | None
    per_class: dict[int, tuple[int, Interval | None]]
    class_shift: ClassShift | None = None


def estimate_accuracy(
    combiner: Mixture,
    declared: dict[Condition, float],
    baseline: Baseline,
    batch: Rows,
    seed: int = 0,
    groups: Groups = None,
) -> Accuracy:
    """Estimate the accuracy of a batch; `groups` (n,) say which of its rows belong together.

    `p_wrong` is 1 − mean p_wrong. `adapted` is the same with the shares of clean, damaged and foreign images estimated
    from the batch itself (`adapted_shares`): a batch that looks damaged gets the error rates of damaged images, and
    one that does not is spared what was expected of damage. At most MOST_UNKNOWN of it is taken to be foreign;
    `if_unknown` knows no such limit. Where the batch can't tell (MOST_DOUBT), `adapted` is `p_wrong`. `declared` are
    the shares that the combiner was fitted with.

    Intervals are of the accuracy of these very images. Of `p_wrong` and `adapted`: ± 1.96 √(batch + calibration +
    shares), where batch = Σ p (1 − p) / n² (Poisson-binomial), calibration is how far the error rate of as many
    calibration rows may lie from their p_wrong, by strata of p_wrong weighed as the batch has them, and shares is what
    the estimated shares may be off. Of the others: a bootstrap, in which n rows drawn from calibration are a batch and
    as many as there are, drawn again, calibrate. All assume that calibration tells how often such images are wrong;
    where it can't, `unseen.under_alarm` widens them.
    """
    found = from_p_wrong(combiner, declared, baseline, batch, groups)
    if not found.estimates:
        return found
    peers = {
        name: off(estimate(baseline.rows, baseline.wrong, batch), sampling_errors(estimate, baseline, len(batch), seed))
        for name, estimate in PEERS.items()
    }
    return replace(found, estimates=found.estimates | peers)


def from_p_wrong(
    combiner: Mixture, declared: dict[Condition, float], baseline: Baseline, batch: Rows, groups: Groups = None
) -> Accuracy:
    """Estimate by `p_wrong` and `adapted` alone, which is quick; see `estimate_accuracy`."""
    if min(len(batch), len(baseline.wrong)) < FEWEST:
        return Accuracy(len(batch), {}, {}, None, None, {})
    doubt = Doubt(baseline, groups)
    shifted = class_shift(baseline, batch, groups=groups)
    if shifted is not None:
        return _shifted(shifted, combiner, doubt, batch)
    if "damaged" in combiner.gates:
        conditions, names = conditions_in(combiner, declared, batch.signals)
        shares = conditions.shares(most_foreign(combiner, declared))
        if conditions.share_error(1, shares) <= MOST_DOUBT:
            return _adapted(conditions, names, shares, doubt, batch)
    p = batch.p_wrong.astype(np.float64)
    estimates = dict.fromkeys((ADAPTED, P_WRONG), doubt.interval(p))
    return Accuracy(len(batch), estimates, {}, None, None, _per_class(batch, p, doubt))


def _shifted(found: ClassShift, combiner: Mixture, doubt: Doubt, batch: Rows) -> Accuracy:
    """Only the shares of the classes differ from calibration, so no image is damaged or foreign."""
    clean = _conditions(combiner, batch.signals)[1][:, 0] if combiner.gates else batch.p_wrong.astype(np.float64)
    p = found.p_wrong(clean, batch.predicted)
    estimates = {
        ADAPTED: doubt.interval(p, spread(doubt.baseline, batch, found, doubt.groups)),
        P_WRONG: doubt.interval(batch.p_wrong.astype(np.float64)),
    }
    return Accuracy(len(batch), estimates, {}, None, None, _per_class(batch, p, doubt), found)


def _adapted(conditions: Conditions, names: list[Condition], shares: Floats, doubt: Doubt, batch: Rows) -> Accuracy:
    p, free, foreign = conditions.p_wrong(shares), conditions.shares(), "foreign" in names
    return Accuracy(
        n=len(batch),
        estimates={
            ADAPTED: doubt.interval(p, conditions.spread(shares)),
            P_WRONG: doubt.interval(batch.p_wrong.astype(np.float64)),
        },
        shares=dict(zip(names, shares.tolist(), strict=True)),
        unknown=float(free[-1]) if foreign else None,
        if_unknown=doubt.interval(conditions.p_wrong(free), conditions.spread(free)) if foreign else None,
        per_class=_per_class(batch, p, doubt),
    )


def conditions_in(
    combiner: Mixture, declared: dict[Condition, float], signals: Signals
) -> tuple[Conditions, list[Condition]]:
    """Return how likely each condition makes each row, whatever shares were declared, and the conditions' names."""
    names: list[Condition] = ["clean", *combiner.gates]
    odds, wrong = _conditions(combiner, signals)
    prior = np.array([declared[name] for name in names])
    return Conditions(odds - np.log(prior / prior[0]), wrong), names


def most_foreign(combiner: Mixture, declared: dict[Condition, float]) -> float:
    """Return which share of a batch is taken to be of no known class at most."""
    return max(MOST_UNKNOWN, declared["foreign"]) if "foreign" in combiner.gates else 1.0


def _conditions(mixture: Mixture, signals: Signals) -> tuple[Floats, Floats]:
    """In pieces: the inputs of experts and gates are many, with a column for each class."""
    starts = range(0, len(signals.predicted), _ROWS_AT_ONCE)
    parts = [mixture.conditions(signals.take(slice(start, start + _ROWS_AT_ONCE))) for start in starts]
    return np.concatenate([odds for odds, _ in parts]), np.concatenate([wrong for _, wrong in parts])


@dataclass(frozen=True, eq=False)
class Conditions:
    """(n, k) log density ratios of conditions to clean, and (n, k) P(wrong | x, condition)."""

    log_ratios: Floats
    wrong: Floats

    def shares(self, most: float = 1.0) -> Floats:
        """Return the most likely shares (k,) of these rows; the last is at most `most`."""
        return adapted_shares(self._few, most)

    def p_wrong(self, shares: Floats) -> Floats:
        """Return (n,) p_wrong with other shares (k,)."""
        return np.asarray((posterior(self.log_ratios, shares) * self.wrong).sum(axis=1))

    def spread(self, shares: Floats) -> float:
        """How far mean p_wrong moves when each share moves by its standard error, at the expense of clean."""
        total = 0.0
        for k in range(1, len(shares)):
            error = self.share_error(k, shares)
            ends = [float(self.p_wrong(_moved(shares, k, step)).mean()) for step in (-error, error)]
            total += (ends[1] - ends[0]) ** 2 / 4
        return float(np.sqrt(total))

    def share_error(self, k: int, shares: Floats) -> float:
        """Standard error of a share against clean, by the observed Fisher information Σ ((r_k − 1) / Σ_j s_j r_j)²."""
        ratios = np.exp(np.clip(self._few, -50, 50))
        slope = (ratios[:, k] - 1) / (ratios @ shares)
        return float(1 / np.sqrt(max(float((slope**2).sum()), 1e-12)))

    @property
    def _few(self) -> Floats:
        return self.log_ratios[np.random.default_rng(0).permutation(len(self.log_ratios))[:_MOST]]


def _moved(shares: Floats, k: int, step: float) -> Floats:
    moved = shares.copy()
    moved[k] = np.clip(shares[k] + step, 0, shares[k] + shares[0])
    moved[0] -= moved[k] - shares[k]
    return moved


def posterior(log_ratios: Floats, shares: Floats) -> Floats:
    """Return (n, k) P(condition | x) from log density ratios to the first condition (n, k), and shares (k,).

    >>> posterior(np.array([[0.0, np.log(3.0)]]), np.array([0.5, 0.5])).round(3).tolist()
    [[0.25, 0.75]]
    """
    z = log_ratios + np.log(np.maximum(shares, 1e-12))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def adapted_shares(log_ratios: Floats, most: float = 1.0, tolerance: float = 1e-6) -> Floats:
    """Return the most likely shares (k,) of conditions in a batch, from log density ratios (n, k), by EM.

    Saerens, Latinne & Decaestecker 2002: shares = mean posterior under these shares, repeated; here the last one is at
    most `most`. One image is a billion times likelier under the first condition, two under the second:

    >>> ratios = np.array([[0.0, -20.7], [0.0, 20.7], [0.0, 20.7]])
    >>> adapted_shares(ratios).round(3).tolist(), adapted_shares(ratios, most=0.25).tolist()
    ([0.333, 0.667], [0.75, 0.25])
    """
    shares = np.full(log_ratios.shape[1], 1 / log_ratios.shape[1])
    for _ in range(500):
        before, shares = shares, posterior(log_ratios, shares).mean(axis=0)
        last = min(shares[-1], most)
        shares = np.append(shares[:-1] * ((1 - last) / max(float(shares[:-1].sum()), 1e-12)), last)
        if np.abs(shares - before).max() < tolerance:
            break
    return shares


def _per_class(batch: Rows, p: Floats, doubt: Doubt) -> dict[int, tuple[int, Interval | None]]:
    """Of each predicted class: rows, and accuracy where batch and calibration have enough of them."""
    known = np.bincount(np.maximum(doubt.baseline.rows.predicted, 0))
    found = {}
    for k in np.unique(batch.predicted[batch.predicted >= 0]):
        rows = batch.predicted == k
        enough = min(int(rows.sum()), int(known[k]) if k < len(known) else 0) >= FEWEST
        found[int(k)] = (int(rows.sum()), doubt.interval(p[rows], among=rows) if enough else None)
    return found


def average_confidence(calibration: Rows, wrong: NDArray[np.bool_], batch: Rows) -> float:
    """Mean confidence of the batch: what one would believe who trusts the (temperature-scaled) softmax."""
    return float(batch.confidence.mean(dtype=np.float64))


def difference_of_confidence(calibration: Rows, wrong: NDArray[np.bool_], batch: Rows) -> float:
    """DoC: accuracy of calibration, lowered by as much as the mean confidence fell. Guillory et al. 2021.

    Calibration is right three times in four with confidence 0.8; the batch has 0.7: 0.75 − (0.8 − 0.7) = 0.65.
    """
    fall = calibration.confidence.mean(dtype=np.float64) - batch.confidence.mean(dtype=np.float64)
    return float(1 - wrong.mean() - fall)


def atc(calibration: NDArray[np.floating], wrong: NDArray[np.bool_], batch: NDArray[np.floating]) -> float:
    """Return the average thresholded confidence: the share of the batch that is surer than a threshold.

    The threshold is such that as many calibration rows lie below it as are wrong. Garg et al. 2022. One of four
    calibration rows is wrong, so the threshold lies above the least sure; one of two batch rows reaches it:

    >>> atc(np.array([0.9, 0.5, 0.7, 0.8]), np.array([False, False, True, False]), np.array([0.6, 0.7]))
    0.5
    """
    if wrong.all():
        return 0.0
    return float((batch >= np.sort(calibration)[int(wrong.sum())]).mean())


def atc_confidence(calibration: Rows, wrong: NDArray[np.bool_], batch: Rows) -> float:
    """ATC by the largest probability."""
    return atc(calibration.confidence, wrong, batch.confidence)


def atc_entropy(calibration: Rows, wrong: NDArray[np.bool_], batch: Rows) -> float:
    """ATC by negative entropy."""
    return atc(calibration.neg_entropy, wrong, batch.neg_entropy)


PEERS: dict[str, Estimate] = {
    "atc_confidence": atc_confidence,
    "atc_entropy": atc_entropy,
    "doc": difference_of_confidence,
    "average_confidence": average_confidence,
}
"""Estimates that read the classifier's own confidence alone."""


def sampling_errors(estimate: Estimate, baseline: Baseline, n: int, seed: int = 0) -> Floats:
    """Return (resamples,) by how much an estimate is off on batches of n rows drawn from calibration, bias aside."""
    rng, rows, wrong = np.random.default_rng(seed), _certainties(baseline.rows), baseline.wrong
    of = None if baseline.clusters is None else np.unique(baseline.clusters, return_inverse=True)[1]
    errors = []
    for _ in range(_RESAMPLES):
        again, drawn = _drawn(len(wrong), of, rng), _drawn(min(n, _MOST), of, rng, len(wrong))
        found = estimate(rows.take(again), wrong[again], rows.take(drawn))
        errors.append(found - (1 - float(wrong[drawn].mean())))
    return np.array(errors, dtype=np.float64) - float(np.mean(errors))


def _drawn(n: int, groups: Groups, rng: np.random.Generator, total: int | None = None) -> NDArray[np.int64]:
    """Positions of n of `total` rows, drawn with putting back; of about as many in whole groups, where there are."""
    if groups is None:
        return rng.integers(0, n if total is None else total, n)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    count = max(1, round(n * len(members) / len(groups)))
    return np.concatenate([members[k] for k in rng.integers(0, len(members), count).tolist()])


def off(value: float, errors: Floats) -> Interval:
    """Return the interval of what is estimated by `value` when estimates are off by so much; all within 0..1.

    >>> off(0.9, np.array([-0.2, 0.0, 0.2]))
    Interval(low=0.71, value=0.9, high=1.0)
    """
    low, high = np.quantile(errors, (0.025, 0.975))
    return Interval(*(round(float(np.clip(x, 0, 1)), 12) for x in (value - high, value, value - low)))


def _certainties(rows: Rows) -> Rows:
    none = np.empty((len(rows), 0), dtype=np.float32)
    return Rows(none, none, rows.predicted, rows.p_wrong, rows.confidence, rows.neg_entropy)
