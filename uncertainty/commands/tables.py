"""What the command line prints: tables of estimators, of an evaluation, and of what is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from uncertainty.figures import number_of, percent
from uncertainty.metrics.ranking_intervals import FEWEST_ERRORS
from uncertainty.monitoring.batch import percentages

if TYPE_CHECKING:
    from rich.table import Table

    from uncertainty.evaluation.screening_quality import Evaluation, Match
    from uncertainty.metrics.intervals import Interval
    from uncertainty.monitoring.accuracy import Accuracy
    from uncertainty.monitoring.batch import Monitoring
    from uncertainty.monitoring.decision_accuracy import DecisionAccuracy

_NEEDED = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "faiss-cpu",
    "pillow",
    "pyarrow",
    "safetensors",
    "pydantic",
    "threadpoolctl",
    "typer",
    "rich",
)
_EXAMPLES = 5
_LEAST = 3
_MOST_CLASSES = 30
METRIC_NAMES = {
    "auroc": "AUROC",
    "aurc": "AURC x1000",
    "e_aurc": "E-AURC x1000",
    "augrc": "AUGRC x1000",
    "errors_accepted_at_95_correct": "FPR at 95 % TPR",
    "errors_caught_at_10_percent": "caught at 10 %",
    "errors_caught_at_20_percent": "caught at 20 %",
}
"""Measures that are printed, and what they are called there."""
_FIRST = ("auroc", "e_aurc", "errors_caught_at_10_percent", "errors_caught_at_20_percent")


def estimators_table() -> Table:
    """Return one row an estimator, as found on disk."""
    from rich.table import Column, Table

    from uncertainty.estimators import discover

    table = Table(Column("estimator", no_wrap=True), "set", "evidence", "needs", Column("says", min_width=16), box=None)
    for name, cls in discover().items():
        errors = ("calibration errors",) if cls.learns_from == "calibration" else ()
        needs = ", ".join(dict.fromkeys((*cls.needs, *cls.fit_needs, *errors)))
        table.add_row(name, "default" if cls.default else "optional", cls.family, needs, _sentence(cls))
    return table


def _sentence(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def evaluation_table(evaluation: Evaluation, *, details: bool = False) -> Table:
    """Return p_wrong beside max softmax, with intervals, and the best estimator alone; with `details` all of them."""
    from rich.table import Column, Table

    best, keys = evaluation.best_single, tuple(METRIC_NAMES) if details else _FIRST
    table = Table(Column(no_wrap=True), *(METRIC_NAMES[key] for key in keys), box=None)
    for name, metrics in evaluation.scores.items():
        intervals = evaluation.intervals.get(name)
        if not (details or intervals or name == best):
            continue
        label = name.removeprefix("est_")
        table.add_row(label if intervals or details else f"best alone: {label}", *_cells(keys, metrics))
        if intervals:
            table.add_row("  95 % interval", *(_between(key, intervals[key]) for key in keys))
    return table


def _cells(keys: Sequence[str], metrics: Mapping[str, float | None]) -> list[str]:
    return [metric_cell(key, metrics[key]) for key in keys]


def metric_cell(key: str, value: float | None) -> str:
    """Return a metric as it is printed, areas under risk curves times 1000; "-" for what does not exist."""
    if value is None:
        return "-"
    return f"{value * 1000:.1f}" if METRIC_NAMES.get(key, "").endswith("x1000") else f"{value:.3f}"


def _between(key: str, interval: Interval | None) -> str:
    return "-" if interval is None else f"{metric_cell(key, interval.low)} to {metric_cell(key, interval.high)}"


def evaluation_text(evaluation: Evaluation, match: Match) -> str:
    """Return what the opening lines leave to be said: what flags and p_wrong are worth, and what was left out."""
    e = evaluation
    lines = [
        f"{percent(e.precision_of_flags)} of the flagged are errors; accuracy of what was not flagged "
        f"{percent(e.accuracy_of_unflagged)}",
        f"p_wrong predicted {percent(e.predicted_error_rate)} errors, {percent(e.observed_error_rate)} were; "
        f"calibration error {percent(e.ece)}",
    ]
    left_out = [
        (e.n_unreadable, "unreadable image", "unreadable images"),
        (e.n_unlabelled, "image without a label", "images without a label"),
        (e.n_partly_answered, "image with unknown answers", "images with unknown answers"),
        (match.labels_without_row, "label without an image", "labels without an image"),
    ]
    if said := [number_of(*one) for one in left_out if one[0]]:
        lines.append(f"left out: {', '.join(said)}")
    if e.n_partly_answered and not e.n:
        lines.append("no image has every answer known: only of single decisions can be said how often they are wrong")
    if e.unknown_labels:
        lines.append(_unknown(e.unknown_labels))
    if e.n_errors and any(one is None for one in e.intervals.get("p_wrong", {}).values()):
        few = number_of(e.n_errors, "error is", "errors are")
        lines.append(
            f"{few} too few for intervals of AURC and E-AURC, which take {FEWEST_ERRORS} and images that are right "
            "beside them"
        )
    return "\n".join(lines)


def estimates_table(accuracy: Accuracy) -> Table:
    """Return the estimates of accuracy side by side."""
    from rich.table import Table

    table = Table("accuracy, estimated by", "per cent (95 % interval)", box=None)
    for name, interval in accuracy.estimates.items():
        table.add_row(name, percentages(interval))
    return table


def least_accurate(found: Monitoring) -> list[str]:
    """Return which predicted classes, or decisions, are right least often, as a sentence; none where too few tell."""
    each = found.decisions
    known = dict(enumerate(each.per_class)) if each else {k: one for k, (_, one) in found.accuracy.per_class.items()}
    told = sorted((interval.value, k, interval) for k, interval in known.items() if interval is not None)[:_LEAST]
    named = ", ".join(f"{found.classes[k]!r} {percentages(interval)}" for _, k, interval in told)
    return [f"least often right {'on' if each else 'where predicted'}: {named}"] if len(told) > 1 else []


def class_accuracy_table(accuracy: Accuracy, classes: Sequence[str]) -> Table:
    """Return the accuracy of each predicted class."""
    from rich.table import Table

    table = Table("predicted class", "images", "accuracy", box=None)
    for k, (n, interval) in accuracy.per_class.items():
        table.add_row(shown(classes[k]), str(n), "insufficient support" if interval is None else percentages(interval))
    return table


def decision_accuracy_table(found: DecisionAccuracy, classes: Sequence[str]) -> Table:
    """Return the accuracy of the decision on each class, the least right ones first."""
    from rich.table import Table

    table = Table("decision on", "right", box=None)
    order = sorted(range(len(classes)), key=lambda k: 2.0 if (one := found.per_class[k]) is None else one.value)
    for k in order[:_MOST_CLASSES]:
        interval = found.per_class[k]
        table.add_row(shown(classes[k]), "insufficient support" if interval is None else percentages(interval))
    return table


def _unknown(labels: Mapping[str, int]) -> str:
    examples = ", ".join(repr(label) for label in list(labels)[:_EXAMPLES])
    more = f" and {len(labels) - _EXAMPLES} more" if len(labels) > _EXAMPLES else ""
    have = number_of(sum(labels.values()), "image has", "images have")
    return f"{have} a label that is no class of the model, counted as wrong: {examples}{more}"


def shown(text: str) -> str:
    r"""Return text as it is, or quoted where it holds line breaks or anything else that would disturb a terminal.

    >>> shown("Anna's Käfer.png"), shown("two\nlines.png")
    ("Anna's Käfer.png", "'two\\nlines.png'")
    """
    return text if text.isprintable() else repr(text)


def doctor_table() -> Table:
    """Return what the package needs and which versions are there."""
    from rich.table import Table
    from rich.text import Text

    table = Table("package", "version", box=None)
    table.add_row("python", platform.python_version())
    for name in ("uncertainty-vision", *_NEEDED):
        table.add_row(name, _version(name) or f"missing; run pip install {name}")
    for what, told in _runtimes():
        table.add_row(what, Text(told))
    table.add_row("runs on", _devices())
    return table


def doctor_warnings() -> list[str]:
    """Return what is wrong with this installation, in words."""
    if _version("uncertainty") is None:
        return []
    return [
        "the unrelated package 'uncertainty' is installed and has the same import name; run "
        "pip uninstall uncertainty, then install uncertainty-vision again as its README says"
    ]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _runtimes() -> list[tuple[str, str]]:
    if importlib.util.find_spec("torch") is None:
        return []
    from uncertainty.classifiers.runtimes.base import runtimes

    return [
        (f"runtime={one}", f"not here: it {missing}" if (missing := one.missing()) else "installed")
        for one in runtimes()
    ]


def _devices() -> str:
    if importlib.util.find_spec("torch") is None:
        return "nothing: torch is missing"
    from uncertainty.classifiers.modes import devices

    return ", ".join(devices())
