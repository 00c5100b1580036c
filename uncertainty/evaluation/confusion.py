"""Class by class: what is taken for what, precision and recall, curves, and the label mix of each kind of mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.errors import InputError
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.files import plain
from uncertainty.images.label_text import NO_LABEL
from uncertainty.metrics.curves import Curve, Point, class_curve
from uncertainty.outputs import Task

MOST_PAIRS = 100
_MOST_LISTED = 20


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 over classes; None where undefined."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Pair:
    """So many images of one class were taken for another; of these, so many were flagged (None: nobody screened)."""

    label: str
    predicted_label: str
    count: int
    share_of_label: float
    flagged: int | None


@dataclass(frozen=True)
class ClassRow:
    """One class against the rest; None where undefined (precision of a class never predicted, recall of one absent)."""

    class_name: str
    index: int
    known: bool
    support: int
    predicted: int
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    unanswered: int
    """Rows in which nobody said whether the image has the label: they are in none of the other numbers."""
    precision: float | None
    recall: float | None
    f1: float | None
    false_positives_flagged: int | None
    false_negatives_flagged: int | None
    roc_auc: float | None
    average_precision: float | None
    threshold_for_precision: Point | None
    threshold_for_recall: Point | None
    labels_of_false_positives: tuple[tuple[str, int], ...]
    """What the false positives really are, most first, at most 20."""
    predictions_of_false_negatives: tuple[tuple[str, int], ...]
    """What the false negatives were taken for, most first, at most 20."""
    beside_false_positives: tuple[tuple[str, int], ...]
    """Multilabel: how many of the false positives have each label, most first, at most 20, `(no label)` for none."""
    beside_false_negatives: tuple[tuple[str, int], ...]
    """Multilabel: how many of the false negatives have each other label."""


@dataclass(frozen=True, repr=False)
class ClassReport(Brief):
    """All classes that occur; `confusion` holds (label index, predicted index, count), no zeros, multiclass only."""

    task: Task
    classes: tuple[str, ...]
    n_known_classes: int
    confusion: tuple[tuple[int, int, int], ...] | None
    per_class: tuple[ClassRow, ...]
    averages: dict[str, Averages]
    confused_pairs: tuple[Pair, ...]
    curves: dict[str, Curve]

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, strings and dictionaries, without the curves; what can't be said is None."""
        content: dict[str, Any] = plain(self)
        del content["curves"]
        content["confusion"] = None if self.confusion is None else {"entries": content["confusion"]}
        for row in content["per_class"]:
            row["class"] = row.pop("class_name")
        content["confused_pairs"] = content["confused_pairs"][:MOST_PAIRS]
        return content


@dataclass(frozen=True)
class Counts:
    """(c,) counts of one against the rest, among the rows whose answer for the class is known."""

    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    true_positives: NDArray[np.int64]
    answered: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Outcomes) -> Counts:
        """Count the rows of each class, those predicted, and those both.

        >>> Counts.of(Outcomes.from_arrays([0, 0, 1], [0, 1, 1])).true_positives.tolist()
        [1, 1]
        """
        truth, predicted, c = outcomes.truth, outcomes.predicted, len(outcomes.classes)
        if outcomes.task == "multilabel":
            known = outcomes.known
            counted = (truth & known, predicted & known, truth & predicted & known, known)
            return cls(*(which.sum(axis=0) for which in counted))
        hits = truth[truth == predicted]
        counts = [np.bincount(values, minlength=c) for values in (truth, predicted, hits)]
        return cls(*[*counts, np.full(c, len(truth))])

    def averages(self) -> dict[str, Averages]:
        """Return macro (mean over the classes that occur), weighted (by support) and micro averages.

        A class leaves out of a mean what is undefined for it, as scikit-learn does with zero_division=nan.
        """
        occurs = (self.support + self.predicted) > 0
        values = [_ratio(*pair)[occurs] for pair in self._fractions()]
        support = self.support[occurs]
        micro = [_ratio(np.sum(a), np.sum(b)) for a, b in self._fractions()]
        return {
            "macro": Averages(*(_mean(value, np.ones(len(value))) for value in values)),
            "weighted": Averages(*(_mean(value, support) for value in values)),
            "micro": Averages(*(None if np.isnan(value) else float(value) for value in micro)),
        }

    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return precision, recall and F1 of each class, NaN where undefined."""
        precision, recall, f1 = (_ratio(*pair) for pair in self._fractions())
        return precision, recall, f1

    def _fractions(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        hits = self.true_positives
        return [(hits, self.predicted), (hits, self.support), (2 * hits, self.support + self.predicted)]


def class_report(outcomes: Outcomes, *, precision: float = 0.9, recall: float = 0.9) -> ClassReport:
    """Measure every class that occurs; `precision` and `recall` are those for which thresholds are wanted.

    The thresholds are read off these very rows, so on new ones they do a little worse. A class without a probability
    (a label that the classifier does not know), always or never true, has no curve.

    >>> report = class_report(Outcomes.from_arrays(["cat", "cat", "dog"], ["cat", "dog", "dog"]))
    >>> [(row.class_name, row.precision, row.recall) for row in report.per_class]
    [('cat', 1.0, 0.5), ('dog', 0.5, 1.0)]
    >>> report.confusion, report.confused_pairs[0].count
    (((0, 0, 1), (0, 1, 1), (1, 1, 1)), 1)
    """
    for what, wanted in (("precision", precision), ("recall", recall)):
        if not 0 < wanted <= 1:
            raise InputError(f"the wanted {what} is {wanted}; it must be above 0 and at most 1")
    counts = Counts.of(outcomes)
    occurring = np.flatnonzero((counts.support + counts.predicted) > 0)
    curves = {int(k): class_curve(*_against_rest(outcomes, int(k))) for k in occurring}
    return ClassReport(
        task=outcomes.task,
        classes=outcomes.classes,
        n_known_classes=outcomes.n_known,
        confusion=_entries(outcomes),
        per_class=_rows(outcomes, counts, curves, precision, recall),
        averages=counts.averages(),
        confused_pairs=confused_pairs(outcomes),
        curves={outcomes.classes[k]: curve for k, curve in curves.items() if curve is not None},
    )


def confused_pairs(outcomes: Outcomes, most: int | None = None) -> tuple[Pair, ...]:
    """Return which class was taken for which, most first; multilabel: missed and wrongly given in the same row."""
    rows, labels, predictions = _confusions(outcomes)
    support, c = Counts.of(outcomes).support, len(outcomes.classes)
    pairs, where, counts = np.unique(labels * c + predictions, return_inverse=True, return_counts=True)
    flagged = None
    if outcomes.flagged is not None:
        flagged = np.bincount(where, weights=outcomes.flagged[rows], minlength=len(pairs)).astype(np.int64)
    return tuple(
        Pair(
            outcomes.classes[pairs[i] // c],
            outcomes.classes[pairs[i] % c],
            int(counts[i]),
            float(counts[i] / support[pairs[i] // c]),
            None if flagged is None else int(flagged[i]),
        )
        for i in np.argsort(-counts, kind="stable")[:most]
    )


def _confusions(outcomes: Outcomes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(row, label, predicted) of every confusion."""
    if outcomes.task == "multiclass":
        rows = np.flatnonzero(outcomes.wrong)
        return rows, outcomes.truth[rows], outcomes.predicted[rows]
    wrong = outcomes.wrong_decisions
    missed, given = outcomes.truth & wrong, outcomes.predicted & wrong
    both = np.flatnonzero(missed.any(axis=1) & given.any(axis=1))
    found = [(row, i, j) for row in both for i in np.flatnonzero(missed[row]) for j in np.flatnonzero(given[row])]
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _entries(outcomes: Outcomes) -> tuple[tuple[int, int, int], ...] | None:
    if outcomes.task == "multilabel":
        return None
    c = len(outcomes.classes)
    cells, counts = np.unique(outcomes.truth * c + outcomes.predicted, return_counts=True)
    return tuple((int(cell // c), int(cell % c), int(count)) for cell, count in zip(cells, counts, strict=True))


def _against_rest(outcomes: Outcomes, k: int) -> tuple[NDArray[np.bool_], NDArray[Any] | None]:
    several = outcomes.task == "multilabel"
    truth = outcomes.truth[:, k] if several else outcomes.truth == k
    rows = outcomes.known[:, k] if several else slice(None)
    known = outcomes.probs is not None and k < outcomes.n_known
    return truth[rows], outcomes.probs[rows, k] if known and outcomes.probs is not None else None


def _rows(
    outcomes: Outcomes, counts: Counts, curves: dict[int, Curve | None], precision: float, recall: float
) -> tuple[ClassRow, ...]:
    pairs = outcomes.false_positive_pairs(), outcomes.false_negative_pairs()
    mixes = [_mixes(outcomes.take(of[0]), of[1], said) for of, said in zip(pairs, (False, True), strict=True)]
    beside = [_beside(outcomes, *of) for of in pairs]
    caught = [_flagged(outcomes, *of) for of in pairs]
    rates = [plain(values.tolist()) for values in counts.rates()]
    rows = []
    for k, curve in curves.items():
        hits, support, predicted = (int(x[k]) for x in (counts.true_positives, counts.support, counts.predicted))
        row = ClassRow(
            class_name=outcomes.classes[k],
            index=k,
            known=k < outcomes.n_known,
            support=support,
            predicted=predicted,
            true_positives=hits,
            false_positives=predicted - hits,
            false_negatives=support - hits,
            true_negatives=int(counts.answered[k]) - support - predicted + hits,
            unanswered=len(outcomes) - int(counts.answered[k]),
            precision=rates[0][k],
            recall=rates[1][k],
            f1=rates[2][k],
            false_positives_flagged=None if caught[0] is None else int(caught[0][k]),
            false_negatives_flagged=None if caught[1] is None else int(caught[1][k]),
            roc_auc=curve.roc_auc if curve else None,
            average_precision=curve.average_precision if curve else None,
            threshold_for_precision=curve.for_precision(precision) if curve else None,
            threshold_for_recall=curve.for_recall(recall) if curve else None,
            labels_of_false_positives=mixes[0].get(k, ()),
            predictions_of_false_negatives=mixes[1].get(k, ()),
            beside_false_positives=beside[0].get(k, ()),
            beside_false_negatives=beside[1].get(k, ()),
        )
        rows.append(row)
    return tuple(rows)


def _flagged(outcomes: Outcomes, rows: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if outcomes.flagged is None:
        return None
    return np.bincount(classes[outcomes.flagged[rows]], minlength=len(outcomes.classes))


def _mixes(mistakes: Outcomes, classes: NDArray[np.int64], said: bool) -> dict[int, tuple[tuple[str, int], ...]]:
    """For each class, what its mistakes are, or are `said` to be, most first; ties in the order of the names."""
    counters: dict[int, Counter[str]] = {}
    texts = [text or NO_LABEL for text in mistakes.texts(mistakes.predicted)] if said else mistakes.labels
    for k, text in zip(classes.tolist(), texts, strict=True):
        counters.setdefault(k, Counter())[text] += 1
    return {k: _most(counter) for k, counter in counters.items()}


def _beside(
    outcomes: Outcomes, rows: NDArray[np.int64], classes: NDArray[np.int64]
) -> dict[int, tuple[tuple[str, int], ...]]:
    """For each class, which other labels the images of its mistakes have."""
    if outcomes.task == "multiclass":
        return {}
    found = {}
    for k in np.unique(classes).tolist():
        there = outcomes.truth[rows[classes == k]] & (np.arange(len(outcomes.classes)) != k)
        counts = dict(zip(outcomes.classes, there.sum(axis=0).tolist(), strict=True))
        found[k] = _most(Counter({**counts, NO_LABEL: int((~there.any(axis=1)).sum())}))
    return found


def _most(counter: Counter[str]) -> tuple[tuple[str, int], ...]:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return tuple(pair for pair in ordered if pair[1])[:_MOST_LISTED]


def _ratio(part: Any, whole: Any) -> Any:
    """Part over whole, NaN where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64], weights: Sequence[float] | NDArray[Any]) -> float | None:
    there = ~np.isnan(values)
    total = float(np.sum(np.asarray(weights)[there]))
    return float(values[there] @ np.asarray(weights)[there] / total) if total else None
