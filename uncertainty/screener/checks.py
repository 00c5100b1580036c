"""Whether what was read of a screener can be a screener: names against positions, lengths, and numbers in their range.

The seal tells what was changed by accident; this tells what was changed and sealed again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import CONDITIONS
from uncertainty.combination.mixture import NOTHING_SAID, Mixture
from uncertainty.combination.tails import Tails
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.decisions.policies import Kind
from uncertainty.decisions.thresholds import EVERYTHING, NOTHING
from uncertainty.errors import ArtifactError
from uncertainty.estimators._known_good import KnownGoodEstimator, with_index
from uncertainty.estimators.base import Estimator
from uncertainty.monitoring.baseline import Baseline
from uncertainty.neighbors import NeighborIndex
from uncertainty.screener.cascade import Cascade
from uncertainty.screener.decisions import Decisions
from uncertainty.screener.fitted import Fitted

_MOST_PASSES = 100_000
_LARGEST = 1e12  # far beyond every weight, centre or spread that a fit gives
_COUNTED = ("calibration", "errors", "expected_damage", "expected_unknown")
_MOST_BETWEEN = 3.0
_SAMPLE = 1024
_LENGTH = 2e-2  # off which a float16 vector of length 1 may be


def check(fitted: Fitted, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ArtifactError for the first thing that no fit gives."""
    classes, multilabel = len(fitted.model.classes), fitted.model.task == "multilabel"
    for wrong in (
        *_of_arrays(arrays),
        *_of_plain(fitted),
        *_of_estimators(fitted.estimators, classes, fitted.known_good),
        *_of_combiner(fitted.combiner, [e.name for e in fitted.estimators], "combiner"),
        *_of_decision(fitted.decision, classes, multilabel=multilabel),
        *_of_rows(fitted.calibration, len(fitted.estimators), classes),
        *_of_baseline(fitted.baseline, len(fitted.estimators), classes),
        *_of_cascade(fitted.cascade, fitted.estimators),
        *_of_decisions(fitted.decisions, len(fitted.calibration), classes),
    ):
        raise ArtifactError(f"{wrong}; fit the screener again")


def _of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, array in arrays.items():
        # One pass without a copy: a sum is finite only where all numbers are.
        with np.errstate(all="ignore"):
            finite = array.dtype.kind != "f" or np.isfinite(array.sum(dtype=np.float64))
        if not finite:
            yield f"the array {name!r} holds numbers that are not finite"


def _of_plain(fitted: Fitted) -> Iterator[str]:
    if not 0 <= fitted.passes <= _MOST_PASSES:
        yield f"passes is {fitted.passes}"
    if fitted.seed < 0:
        yield f"seed is {fitted.seed}"
    classes = fitted.model.classes
    if not classes or len(set(classes)) != len(classes):
        yield "its classes are none, or not each of its own"
    counted = fitted.calibrated_on
    for name in _COUNTED:
        if not isinstance(counted.get(name), int | float) or not 0 <= counted[name] <= _LARGEST:
            yield f"calibrated_on has {counted.get(name)!r} as {name!r}"
    if fitted.fitted_on.dtype != np.uint64 or fitted.fitted_on.ndim != 1:
        yield "the array 'fitted_on' is no list of hashes"


def _of_estimators(estimators: Iterable[Estimator], classes: int, known_good: tuple[str, ...]) -> Iterator[str]:
    names = [estimator.name for estimator in estimators]
    if not names or len(set(names)) != len(names):
        yield "its estimators are none, or one is there twice"
    for estimator in estimators:
        for name, value in estimator.learnt().items():
            if isinstance(value, int | float) and not abs(value) <= _LARGEST:
                yield f"{estimator.name} has learnt {value!r} as {name!r}"
        if estimator.fit_needs and not estimator.learnt():
            yield f"{estimator.name} has learnt nothing"
    for estimator in with_index(estimators):
        yield from _of_index(estimator, classes, known_good)


def _of_index(estimator: KnownGoodEstimator, classes: int, known_good: tuple[str, ...]) -> Iterator[str]:
    index: NeighborIndex = estimator.index_
    vectors, of_row, lists = index.vectors, index.classes, index.lists
    if vectors.ndim != 2 or not len(vectors) or vectors.dtype not in (np.float32, np.float16):
        yield f"{estimator.name} has vectors of {vectors.dtype} {vectors.shape}"
        return
    length = np.sqrt(np.square(vectors[:: max(1, len(vectors) // _SAMPLE)].astype(np.float64)).sum(axis=1))
    if not np.all((np.abs(length - 1) < _LENGTH) | (length == 0)) or not length.any():
        yield f"{estimator.name} has vectors that are not of length 1"
    if of_row.shape != vectors.shape[:1] or of_row.dtype.kind != "i" or not _within(of_row, 0, classes - 1):
        yield f"{estimator.name} has classes that are not those of its vectors"
    elif (np.diff(of_row) < 0).any():
        yield f"{estimator.name} has vectors that are not sorted by class"
    k = getattr(estimator, "k_", 1)
    if not isinstance(k, int) or not 1 <= k <= max(len(vectors), estimator.arguments().get("k") or 1):
        yield f"{estimator.name} looks for {k!r} neighbours among {len(vectors)}"
    if known_good and len(known_good) != len(vectors):
        yield f"{len(known_good)} names are of {len(vectors)} known-good rows"
    if lists is not None:
        count, width = lists.centroids.shape
        fits = (width, lists.of_row.shape) == (vectors.shape[1], of_row.shape) and 1 <= lists.probes <= count
        if not fits or not _within(lists.of_row, 0, count - 1) or not 0 <= lists.recall <= 1:
            yield f"{estimator.name} has lists that are not those of its vectors"


def _of_combiner(combiner: Mixture, names: list[str], where: str) -> Iterator[str]:
    if list(combiner.names) != names:
        yield f"the {where} is of the estimators {list(combiner.names)}, and there are {names}"
    basis = combiner.basis
    if len(basis.scales) != len(names) or not set(basis.scales) <= {"plain", "log", "logit"}:
        yield f"the {where} has the scales {list(basis.scales)}"
    if not all(spread > 0 for spread in (*basis.spreads, *basis.context_spreads)):
        yield f"the {where} has a spread that is not above 0"
    if "clean" not in combiner.experts or not combiner.experts.keys() | combiner.gates.keys() <= set(CONDITIONS):
        yield f"the {where} has experts for {list(combiner.experts)} and gates for {list(combiner.gates)}"
    linear = [*combiner.experts.values(), *combiner.gates.values()]
    numbers = [n for one in linear if not isinstance(one, Tails) for n in (*one.weights, one.intercept)]
    for tails in (gate for gate in combiner.gates.values() if isinstance(gate, Tails)):
        yield from _of_tails(tails, len(names), where)
        numbers.append(tails.intercept)
    numbers += [*basis.centers, *basis.spreads, *basis.context_centers, *basis.context_spreads]
    if not all(isinstance(n, int | float) and abs(n) <= _LARGEST for n in numbers):
        yield f"the {where} has numbers that are out of range"


def _of_tails(tails: Tails, estimators: int, where: str) -> Iterator[str]:
    if not tails.columns or not all(isinstance(k, int) and 0 <= k < estimators for k in tails.columns):
        yield f"the {where} has distances in the columns {list(tails.columns)}"
    for distances, p_values in zip(tails.distances, tails.p_values, strict=True):
        if len(distances) != len(p_values) or not all(map(_is_number, (*distances, *p_values))):
            yield f"the {where} has distances that are not numbers"
        elif list(distances) != sorted(distances) or not all(0 < p <= 1 for p in (*p_values, tails.beyond)):
            yield f"the {where} has distances out of order, or p-values out of range"


def _of_decision(decision: Decision, classes: int, *, multilabel: bool) -> Iterator[str]:
    policy, lines = decision.policy, decision.lines
    if not lines or (not policy.per_class and (len(lines) > 1 or lines[0].classes)):
        yield f"its policy has {len(lines)} lines"
    if policy.kind not in get_args(Kind):
        yield f"its policy is of the kind {policy.kind!r}"
    if policy.per_class and multilabel and not policy.per_decision:
        yield "its policy is per class, where there is no single one"
    if policy.per_decision and not multilabel:
        yield "its policy is of single decisions, where an image has one label"
    for line in lines:
        if not _is_number(line.threshold) or not EVERYTHING <= line.threshold <= NOTHING:
            yield f"a threshold is {line.threshold!r}"
        if not isinstance(line.support, int) or line.support < 0:
            yield f"the support of a threshold is {line.support!r}"
        if not all(isinstance(k, int) and 0 <= k < classes for k in line.classes):
            yield f"a threshold is for the classes {list(line.classes)}"
        if line.certified not in (None, True, False) or not isinstance(line.why, str):
            yield "a threshold says neither whether it is certified nor why"
    costs = [cost for cost in (policy.cost_miss, policy.cost_review) if cost is not None]
    if not all(map(_is_number, (policy.target, policy.confidence, *costs))):
        yield f"its policy is {policy!r}"


def _of_rows(rows: HeldOut, estimators: int, classes: int) -> Iterator[str]:
    n = len(rows)
    lengths = {len(a) for a in (rows.weights, rows.wrong, rows.condition, rows.groups, rows.certifying, rows.predicted)}
    signals = rows.signals
    if (
        lengths != {n}
        or signals.scores.shape != (n, estimators)
        or signals.context.ndim != 2
        or len(signals.context) != n
    ):
        yield "the calibration rows are not of one length"
        return
    if not _within(rows.p_wrong, 0, 1) or not (rows.weights >= 0).all() or not (n == 0 or rows.weights.any()):
        yield "the calibration rows have p_wrong or weights that are out of range"
    if not _within(rows.condition, 0, len(CONDITIONS) - 1) or not _within(rows.predicted, NOTHING_SAID, classes - 1):
        yield "the calibration rows are of classes or conditions that there are not"
    masks = [mask for mask in (rows.chosen, rows.partly, rows.later) if mask is not None]
    if any(mask.shape != (n,) or mask.dtype != np.bool_ for mask in masks):
        yield "the calibration rows are not of one length"


def _of_baseline(baseline: Baseline, estimators: int, classes: int) -> Iterator[str]:
    rows = baseline.rows
    n = len(rows)
    ones = (rows.predicted, rows.p_wrong, rows.confidence, rows.neg_entropy, baseline.wrong)
    if any(array.shape != (n,) for array in ones) or rows.scores.shape != (n, estimators) or len(rows.context) != n:
        yield "the baseline rows are not of one length"
        return
    if (
        not _within(rows.p_wrong, 0, 1)
        or not _within(rows.confidence, 0, 1)
        or not _within(rows.predicted, NOTHING_SAID, classes - 1)
    ):
        yield "the baseline rows are out of range"
    if (rows.neg_entropy > 1e-6).any() or baseline.wrong.dtype != np.bool_:
        yield "the baseline rows are out of range"
    if not 0.01 <= baseline.temperature <= 100:
        yield f"the temperature of the baseline is {baseline.temperature!r}"
    if not 0 < baseline.between <= _MOST_BETWEEN:
        yield f"what lies between calibration and unseen images is {baseline.between!r}"


def _of_cascade(cascade: Cascade | None, estimators: tuple[Estimator, ...]) -> Iterator[str]:
    if cascade is None:
        return
    yield from _of_combiner(cascade.combiner, [e.name for e in cascade.cheap(estimators)], "combiner of the cascade")
    held_out = cascade.held_out
    if not all(0 <= end <= 1 for end in cascade.interval) or not 0 <= cascade.loss <= _LARGEST:
        yield f"the cascade looks deeper from {cascade.interval[0]!r} to {cascade.interval[1]!r}"
    if not _within(held_out.cheap, 0, 1) or not _within(held_out.full, 0, 1) or not (held_out.weights >= 0).all():
        yield "the rows of the cascade are out of range"
    if not held_out.weights.any():
        yield "the rows of the cascade have no weight"


def _of_decisions(decisions: Decisions | None, rows: int, classes: int) -> Iterator[str]:
    if decisions is None:
        return
    kept = decisions.rows
    if {a.shape for a in (kept.p_wrong, kept.wrong, kept.said)} != {(rows, classes)}:
        yield "the decisions are not those of the calibration rows"
    elif not _within(kept.p_wrong, 0, 1) or not _within(kept.wrong, -1, 1) or kept.said.dtype != np.bool_:
        yield "the decisions are out of range"
    if not all(_is_number(n) and abs(n) <= _LARGEST for n in vars(decisions.sets).values()) or decisions.sets.slope < 0:
        yield "the odds of suggested sets are out of range"
    for experts in filter(None, (decisions.experts, decisions.at_first_sight)):
        linear = experts.experts.values()
        numbers = [experts.center, experts.spread, *(n for e in linear for n in (*e.weights, e.intercept, *e.of_class))]
        if not experts.experts.keys() <= set(CONDITIONS) or any(len(e.of_class) != classes for e in linear):
            yield f"the decisions have experts for {list(experts.experts)}, or for other classes"
        if not all(_is_number(n) and abs(n) <= _LARGEST for n in numbers) or experts.spread <= 0:
            yield "the experts of decisions have numbers that are out of range"


def _within(values: NDArray[Any], low: float, high: float) -> bool:
    return not values.size or bool(values.min() >= low and values.max() <= high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
