"""A batch of verdicts against the screener that judged it: accuracy without labels, drift, and both in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uncertainty.brief import Brief
from uncertainty.combination.mixture import Condition, Mixture
from uncertainty.errors import InputError
from uncertainty.estimators.base import Estimator
from uncertainty.images.packed_text import Packer
from uncertainty.metrics.intervals import Interval, group_numbers
from uncertainty.monitoring.accuracy import ADAPTED, FEWEST, P_WRONG, Accuracy, estimate_accuracy
from uncertainty.monitoring.baseline import Baseline, rows_of_table
from uncertainty.monitoring.class_shares import ClassShift
from uncertainty.monitoring.decision_accuracy import DecisionAccuracy, DecisionSums, KnownDecisions, decision_accuracy
from uncertainty.monitoring.drift import FALSE_ALARMS, PREDICTED, Column, Drift, detect, values_of
from uncertainty.monitoring.stream import first_alarm
from uncertainty.monitoring.unseen import Changed, changed, under_alarm

if TYPE_CHECKING:
    import pyarrow as pa

VOID = "guarantees that assume images like calibration are void"
_GROUPS = (
    "calibration counts groups of images that belong together; say so of these, else intervals are too narrow and "
    "alarms too many"
)
_UNKNOWN = "p_wrong may be too low or too high, which labels of some of them would tell"
_LIKELY_FROM = 0.8416  # standard deviations, beyond which one case in five lies
_TWO_SIDED = 1.959964
_WORDS = {
    "softmax": "how sure the classifier is",
    "dropout": "how much it depends on dropout",
    "neighbours": "how like known-good images they are",
    "second opinion": "what the second opinion says",
    "views": "how the answer bears other views",
    "image": "light, contrast and sharpness",
    PREDICTED: "which classes are predicted",
}
_WORTH_SAYING = 0.02
_MOVED = 3


@dataclass(frozen=True, repr=False)
class Monitoring(Brief):
    """What can be said of a batch without labels.

    `oddest` names the images that show the drift most. `arrival` is, where the rows were told to be in the order of
    their arrival and the alarm for streams went off, the image at which it did and the column that told.
    """

    accuracy: Accuracy
    drift: Drift
    classes: tuple[str, ...]
    oddest: tuple[str, ...]
    arrival: tuple[str, str] | None
    groups_missing: bool = False
    """Whether calibration images belong together, and nobody said which of these do."""
    changed: Changed | None = None
    """How many images are not like calibration; None where there are too few to say."""
    decisions: DecisionAccuracy | None = None
    """Of several labels an image: how many decisions are right; None of one label, and where too few tell."""

    @property
    def alarm(self) -> bool:
        """Whether the images are not like calibration, as a batch or as a stream."""
        return self.drift.alarm or self.arrival is not None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, ready for `json.dump`; None is what can't be said."""
        a, d = self.accuracy, self.drift
        return {
            "images": a.n,
            "accuracy": {name: asdict(interval) for name, interval in a.estimates.items()},
            "shares": dict(a.shares),
            "unknown": {"share": a.unknown, "accuracy": _plain(a.if_unknown)},
            "class_shares": None if a.class_shift is None else self._shares(a.class_shift),
            "per_class": {
                self.classes[k]: {"images": n, "accuracy": _plain(interval)} for k, (n, interval) in a.per_class.items()
            },
            "drift": {
                "alarm": self.alarm,
                "p_value": d.p_value,
                "level": d.level,
                "kinds": list(d.kinds),
                "p_wrong": self.direction(),
                "changed": None if self.changed is None else asdict(self.changed),
                "changes": [asdict(change) for change in d.changes],
                "oddest": list(self.oddest),
                "arrival": None if self.arrival is None else dict(zip(("image", "column"), self.arrival, strict=True)),
            },
            "in_words": self.words(),
        } | ({} if self.decisions is None else {"decisions": self._decisions(self.decisions)})

    def _decisions(self, found: DecisionAccuracy) -> dict[str, Any]:
        per_class = {name: _plain(one) for name, one in zip(self.classes, found.per_class, strict=True)}
        return {"accuracy": asdict(found.overall), "per_class": per_class}

    def _shares(self, shift: ClassShift) -> dict[str, dict[str, float]]:
        before, now = ([*map(float, shares)] for shares in (shift.before, shift.now))
        return {c: {"calibration": b, "batch": n} for c, b, n in zip(self.classes, before, now, strict=False)}

    def words(self) -> list[str]:
        """Return the findings as sentences."""
        if self.drift.p_value is None:
            return [f"insufficient support: {self.accuracy.n} images that could be read; at least {FEWEST} are needed"]
        told = self.decisions
        each = (
            [] if told is None else [f"of all decisions on single labels right are about {percentages(told.overall)}"]
        )
        return [*self._accuracy(), *each, self.drift_in_words(), *([_GROUPS] if self.groups_missing else [])]

    def _accuracy(self) -> list[str]:
        a = self.accuracy
        found = a.estimates[ADAPTED]
        line = f"accuracy of these images about {100 * found.value:.1f} % (95 % interval {_ends(found)})"
        if a.class_shift is not None:
            return [
                f"{line}; the shares of the classes changed, and nothing else is seen: {self._moved(a.class_shift)}"
            ]
        if not self.alarm or self.changed is None:
            return [line]
        return [
            f"{line}, as far as damage that was never seen can mislead; {self.changed.in_words()} look unlike "
            "calibration",
            *self._perhaps_unknown(),
        ]

    def _perhaps_unknown(self) -> list[str]:
        """Say that images which look damaged may be of no known class, and what would be true then."""
        a, lines = self.accuracy, []
        if (unlike := 1 - a.shares.get("clean", 1.0)) >= _WORTH_SAYING:
            lines.append(
                f"about {100 * unlike:.0f} % of them look damaged or of no known class, which nothing here tells "
                "apart: this accuracy takes most of them for damaged, and is too high where they are of no known class"
            )
        if a.unknown is not None and a.if_unknown is not None and a.unknown >= _WORTH_SAYING:
            lines.append(
                "some look like nothing that calibration knew, as damage of other kinds does too; if they are of no "
                f"known class, accuracy is about {percentages(a.if_unknown)}"
            )
        return lines

    def _moved(self, shift: ClassShift) -> str:
        """The classes whose shares changed most."""
        most = np.argsort(-np.abs(shift.now - shift.before), kind="stable")[:_MOVED]
        named = [(self.classes[k] if k < len(self.classes) else "no known class", k) for k in most.tolist()]
        return ", ".join(f"{shift.now[k]:.0%} {name} (calibration {shift.before[k]:.0%})" for name, k in named)

    def drift_in_words(self) -> str:
        """Return one sentence: whether the images are like calibration, what changed, and what that means."""
        d = self.drift
        if d.p_value is None:
            return f"insufficient support for a drift alarm: fewer than {FEWEST} images"
        if d.alarm:
            return (
                f"drift alarm (p = {d.p_value:.3g}): changed are {_list([_WORDS.get(k, k) for k in d.kinds])}; "
                f"{self._off()}, and {VOID}"
            )
        if self.arrival is not None:
            where = f"from {self.arrival[0]} on, in the order of arrival, by {self.arrival[1]}"
            return f"drift alarm {where}; {self._off()}, and {VOID}"
        return f"no drift found (p = {d.p_value:.3g}): these images could be more of calibration"

    def _off(self) -> str:
        """Which way p_wrong is off, as far as that can be known of a batch that is not like calibration."""
        a, way = self.accuracy, self.direction()
        if way == "unknown":
            return _UNKNOWN
        if a.class_shift is None:
            return f"p_wrong is likely {way}"
        more = a.estimates[P_WRONG].value - a.estimates[ADAPTED].value
        return f"p_wrong is {way} by {100 * abs(more):.1f} points on average"

    def direction(self) -> str:
        """Return whether p_wrong is "too low", "too high" or "unknown" on average, as four cases in five would have it.

        By how far the accuracy that it gives lies from the one to go by, against the interval of that. Without an alarm
        it is as it should be, "".
        """
        if not self.alarm or ADAPTED not in self.accuracy.estimates:
            return ""
        best = self.accuracy.estimates[ADAPTED]
        more = self.accuracy.estimates[P_WRONG].value - best.value
        if self.accuracy.class_shift is not None:
            return "too low" if more > 0 else "too high"
        room = (best.high - best.value) if more > 0 else (best.value - best.low)
        if abs(more) * _TWO_SIDED <= _LIKELY_FROM * room:
            return "unknown"
        return "too low" if more > 0 else "too high"


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a batch is compared with: estimators and combiner that judged it, and the rows they were calibrated on.

    `classes` are names, in the order of the logits; `baseline` has the scores of these estimators, in their order.
    """

    estimators: Sequence[Estimator]
    combiner: Mixture
    baseline: Baseline
    calibrated_on: dict[str, Any]
    classes: Sequence[str]
    decisions: KnownDecisions | None = None


def monitor(
    batches: Iterable[pa.RecordBatch],
    by: Calibrated,
    *,
    level: float = FALSE_ALARMS,
    in_order: bool = False,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Monitoring:
    """Compare a verdict table, batch by batch, with the calibration of the screener that made it.

    `level` is the probability of an alarm where nothing changed; with `in_order`, of either of its two alarms together.
    `groups` say by file name which images belong together, such as frames of one film; then groups are compared and
    counted. Raises InputError for groups and `in_order` at once: images that arrive one by one are taken to be apart.
    """
    if in_order and groups is not None:
        raise InputError("the alarm for images in the order of their arrival takes them to be apart; leave groups out")
    noted: Packer[str] = Packer()
    baseline, scores = by.baseline, [e.name for e in by.estimators]
    sums = None if by.decisions is None else DecisionSums(tuple(by.classes))
    rows = rows_of_table(_noting(batches, noted, sums), scores, baseline.context_names, baseline.temperature)
    columns = [Column(e.name, e.family) for e in by.estimators]
    columns += [Column(c, "image") for c in baseline.context_names]
    each = level / 2 if in_order else level
    names = noted.packed()
    of = group_numbers(names, groups)
    drift = detect(baseline.rows, rows, columns, level=each, seed=seed, groups=(baseline.clusters, of))
    arrival = None
    if in_order and drift.p_value is not None:
        # A stream joins what it is compared with, so the order of calibration must be an accident.
        known = baseline.rows.take(np.random.default_rng(seed).permutation(len(baseline.rows)))
        arrival = first_alarm(values_of(known), values_of(rows), each, seed)
    accuracy = estimate_accuracy(by.combiner, declared_shares(by.calibrated_on), baseline, rows, seed, of)
    decisions = None if by.decisions is None or sums is None else decision_accuracy(by.decisions, sums, of)
    if drift.alarm or arrival is not None:
        accuracy = under_alarm(accuracy, baseline, rows)
        decisions = decisions and decisions.under_alarm(baseline.between, changed(baseline.rows, rows).share)
    return Monitoring(
        accuracy=accuracy,
        drift=drift,
        classes=tuple(by.classes),
        oddest=tuple(names[row] for row in drift.oddest),
        arrival=None if arrival is None else (names[arrival[0]], columns[arrival[1]].name),
        groups_missing=baseline.clusters is not None and groups is None,
        changed=None if drift.p_value is None else changed(baseline.rows, rows),
        decisions=decisions,
    )


def declared_shares(calibrated_on: dict[str, Any]) -> dict[Condition, float]:
    """Return the shares of conditions that a screener was fitted with, from what it says it was calibrated on.

    >>> declared_shares({"expected_damage": 0.25, "expected_unknown": 0.25})
    {'clean': 0.5, 'damaged': 0.25, 'foreign': 0.25}
    """
    damaged, foreign = calibrated_on["expected_damage"], calibrated_on["expected_unknown"]
    return {"clean": 1 - damaged - foreign, "damaged": damaged, "foreign": foreign}


def percentages(interval: Interval) -> str:
    """Return a share with its interval in per cent.

    >>> percentages(Interval(0.85, 0.9, 0.95))
    '90.0 % (85.0 to 95.0)'
    """
    return f"{100 * interval.value:.1f} % ({_ends(interval)})"


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _noting(
    batches: Iterable[pa.RecordBatch], names: Packer[str], sums: DecisionSums | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        error = batch["error"]
        # pyarrow loads all its functions for the first of them: not for batches that could be read.
        read = batch if error.null_count == len(error) else batch.filter(error.is_null())
        for name in read["file_name"].to_pylist():
            names.append(name)
        if sums is not None:
            sums.add(read)
        yield batch


def _list(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _plain(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)
