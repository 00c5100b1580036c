"""What the command line prints of classes and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from uncertainty.commands.tables import METRIC_NAMES, metric_cell, shown
from uncertainty.figures import number_of, percent, probability
from uncertainty.verdicts import METADATA

if TYPE_CHECKING:
    from rich.table import Table

    from uncertainty.evaluation.comparison import Comparison
    from uncertainty.evaluation.confusion import ClassReport, ClassRow
    from uncertainty.evaluation.decision_comparison import DecisionComparison
    from uncertainty.evaluation.decision_quality import DecisionReport
    from uncertainty.evaluation.screening_quality import Evaluation
    from uncertainty.evaluation.slices import ClassSlice, Slice, SliceReport
    from uncertainty.metrics.intervals import Interval
    from uncertainty.recalibration.sampling_weights import DesignEstimate

_CLASSES = 20
_PAIRS = 5
_SLICES = 3
_OVERLAPS = 2
_OFF = 0.01
_COMPARED = {"accuracy": "accuracy", **METRIC_NAMES, "brier": "Brier score", "ece": "calibration error"}


def design_text(design: DesignEstimate, evaluation: Evaluation) -> str:
    """Return the accuracy of all images, estimated by how they were chosen for labelling, as a sentence."""
    images = evaluation.n + evaluation.n_unlabelled
    text = (
        f"accuracy of all images, by their chances to be labelled: {percent(design.accuracy)} (95 % interval "
        f"{percent(design.low)} to {percent(design.high)}; {design.by_chance} of {design.labels} labels were drawn by "
        "chance); all other measures are of the labelled images alone"
    )
    if abs(design.stand_for - images) <= _OFF * images:
        return text
    why = "some labels are missing, or some images could not be chosen"
    return f"{text}; the labels stand for {design.stand_for:.0f} of {images} images: {why}"


def class_table(report: ClassReport) -> Table:
    """Return one row a class; of many classes the worst by F1."""
    from rich.table import Column, Table
    from rich.text import Text

    names = ("precision", "recall", "F1", "AUC", "images", "false positives", "of them flagged", "false negatives")
    table = Table(Column("class", overflow="fold"), *(Column(name, justify="right") for name in names), box=None)
    table.add_column("of them flagged", justify="right")
    for row in _worst(report.per_class):
        table.add_row(
            Text(shown(row.class_name)),
            *(_share(value) for value in (row.precision, row.recall, row.f1)),
            "-" if row.roc_auc is None else f"{row.roc_auc:.3f}",
            *(str(count) for count in (row.support, row.false_positives)),
            _count(row.false_positives_flagged),
            str(row.false_negatives),
            _count(row.false_negatives_flagged),
        )
    return table


def _worst(rows: Sequence[ClassRow]) -> Sequence[ClassRow]:
    if len(rows) <= _CLASSES:
        return rows
    return sorted(rows, key=lambda row: (row.f1 is None, row.f1 or 0, -row.support))[:_CLASSES]


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def findings_text(classes: ClassReport, slices: SliceReport) -> str:
    """Return averages, the most confused pairs, and the slices that go with errors, in sentences."""
    macro, n = classes.averages["macro"], len(classes.per_class)
    which = f"the {_CLASSES} worst of {n} classes; " if n > _CLASSES else ""
    lines = [
        f"{which}mean over classes: precision {percent(macro.precision)}, recall {percent(macro.recall)}, "
        f"F1 {percent(macro.f1)}"
    ]
    if pairs := classes.confused_pairs[:_PAIRS]:
        said = [f"{p.label!r} for {p.predicted_label!r} ({number_of(p.count, 'time')})" for p in pairs]
        lines.append(f"most often taken: {', '.join(said)}")
    return "\n".join(filter(None, [*lines, slices_text(slices), class_slices_text(slices)]))


def slice_table(report: SliceReport) -> Table:
    """Return one row a slice, the surest first."""
    from rich.table import Column, Table
    from rich.text import Text

    names = ("images", "error rate", "95 % interval", "others", "by class mix", "p", "p within classes", "flags caught")
    table = Table(Column("slice", overflow="fold"), *(Column(name, justify="right") for name in names), box=None)
    table.add_column("conclusion", no_wrap=True)
    for one in report.slices:
        table.add_row(
            Text(shown(one.name)),
            str(one.n),
            percent(one.error_rate),
            f"{percent(one.low)} to {percent(one.high)}",
            percent(one.error_rate_rest),
            _share(one.error_rate_expected),
            probability(one.p_holm),
            probability(one.p_within_class_holm),
            _share(one.errors_caught),
            one.conclusion,
        )
    return table


def decision_table(report: DecisionReport) -> Table:
    """Return one row a class of its decisions; of many classes those with the most errors."""
    from rich.table import Column, Table
    from rich.text import Text

    names = (
        "decisions",
        "wrong",
        "predicted",
        "AUROC",
        "of confidence",
        "calibration error",
        "flagged",
        "errors caught",
    )
    table = Table(Column("decisions on", overflow="fold"), *(Column(n, justify="right") for n in names), box=None)
    for row in sorted(report.per_class, key=lambda row: -row.errors)[:_CLASSES]:
        table.add_row(
            Text(shown(row.class_name)),
            str(row.n),
            _share(row.error_rate),
            _share(row.predicted_error_rate),
            *("-" if value is None else f"{value:.3f}" for value in (row.auroc, row.auroc_of_confidence)),
            _share(row.ece),
            _count(row.flagged),
            _count(row.errors_flagged),
        )
    return table


def decisions_text(report: DecisionReport) -> str:
    """Return how good all decisions were, in a sentence."""
    text = (
        f"{number_of(report.n, 'decision')}, {number_of(report.errors, 'error')}; accuracy {percent(report.accuracy)}"
    )
    if report.unanswered:
        text += f"; {number_of(report.unanswered, 'unknown answer')} left out"
    if (own := report.mean_auroc) is None or (usual := report.mean_auroc_of_confidence) is None:
        return text
    return f"{text}; mean AUROC of their errors over classes {own:.3f}, by confidence {usual:.3f}"


def class_slices_text(report: SliceReport) -> str:
    """Return the slices of single classes that go with errors, in sentences; "" for none."""
    told = [one for one in report.per_class if one.conclusion != "no evidence"]
    lines = [
        f"of {shown(one.class_name)!r}, {_images(one)} go with {one.conclusion}: the decision is wrong in "
        f"{percent(one.error_rate)} of {one.n}, in {percent(one.error_rate_rest)} of the {one.n_rest} others; "
        f"corrected p {probability(one.p_holm)}"
        for one in told[:_SLICES]
    ]
    more = [f"and {number_of(len(told) - _SLICES, 'more slice of a class', 'more slices of classes')}"]
    return "\n".join(lines + more * (len(told) > _SLICES))


def slices_text(report: SliceReport) -> str:
    """Return what the slices say, in sentences."""
    if not report.slices:
        return f"no slice has enough images to be compared{_left_out(report)}"
    lines = [_sentence(one) for one in report.slices if one.conclusion in ("more errors", "fewer errors")]
    named = [shown(one.name) for one in report.slices if one.conclusion == "explained by class"]
    said = lines[:_SLICES] or [f"none of {report.tests} slices goes with errors beyond the mix of its classes"]
    if len(lines) > _SLICES:
        said.append(f"and {number_of(len(lines) - _SLICES, 'more slice')}")
    if named:
        said.append(f"explained by the classes of their images: {', '.join(named[:_PAIRS])}")
    return "\n".join(said) + _left_out(report)


def _sentence(one: Slice) -> str:
    also = " and ".join(f"{share:.0%} are {shown(name)} too" for name, share in one.overlaps[:_OVERLAPS])
    return (
        f"{_images(one)} go with {one.conclusion}: {percent(one.error_rate)} of {one.n} wrong, "
        f"{percent(one.error_rate_expected)} expected from their classes, {percent(one.error_rate_rest)} of the "
        f"{number_of(one.n_rest, 'other')}; "
        f"corrected p {probability(one.p_within_class_holm)} ({shown(one.definition)}){f'; {also}' if also else ''}"
    )


def _images(one: Slice | ClassSlice) -> str:
    """Name the images of a slice: dark images, but images with camera = roof."""
    return f"images with {shown(one.name)}" if one.by.startswith(METADATA) else f"{shown(one.name)} images"


def base_text(report: SliceReport) -> str:
    """Say with what each slice is compared."""
    columns = list(dict.fromkeys(one.by.removeprefix(METADATA) for one in report.slices if one.by.startswith(METADATA)))
    each = f"each value of {', '.join(map(shown, columns))} with the images of all its other values" if columns else ""
    others = (
        "each slice with the images outside it" if any(not s.by.startswith(METADATA) for s in report.slices) else ""
    )
    compared = " and ".join(filter(None, (each, others)))
    n, wrong = report.n, report.n_errors
    rate = f"; of all {number_of(n, 'labelled image')} {wrong} are wrong ({percent(wrong / n)})" if n else ""
    return f"compared: {compared or 'nothing'}{rate}"


def _left_out(report: SliceReport) -> str:
    names = ", ".join(shown(one.by) for one in report.skipped[:_PAIRS])
    more = f" and {len(report.skipped) - _PAIRS} more" if len(report.skipped) > _PAIRS else ""
    return f"\nnot compared, for want of images on both sides or of groups: {names}{more}" if names else ""


def comparison_table(found: Comparison) -> Table:
    """Return accuracy and the measures of both p_wrong, with the difference and its interval."""
    from rich.table import Column, Table

    table = Table(
        Column(no_wrap=True),
        *(Column(name, justify="right") for name in ("A", "B", "B - A", "95 % interval")),
        box=None,
    )
    for key, pair in {"accuracy": found.accuracy, **found.scores}.items():
        if key in _COMPARED:
            values = [_value(key, interval) for interval in (pair.a, pair.b, pair.difference)]
            table.add_row(_COMPARED[key], *values, _ends(key, pair.difference))
    return table


def decision_changes(found: DecisionComparison) -> Table:
    """Return one row a class, what changed most first; of many classes the surest changes."""
    from rich.table import Column, Table
    from rich.text import Text

    names = ("wrong in A", "wrong in B", "fixed", "broken", "p of all classes", "decisions", "AUROC, B - A", "p_wrong")
    table = Table(Column("decisions on", overflow="fold"), *(Column(n, justify="right") for n in names), box=None)
    for row in found.per_class[:_CLASSES]:
        change = None if row.auroc is None else row.auroc.difference
        table.add_row(
            Text(shown(row.class_name)),
            *(str(count) for count in (row.wrong_a, row.wrong_b, row.fixed, row.broken)),
            probability(row.p_holm),
            row.conclusion,
            "-" if change is None else f"{change.value:+.3f}",
            row.p_wrong,
        )
    return table


def decision_changes_text(found: DecisionComparison) -> str:
    """Return what changed of all decisions, and which classes could not be compared, in sentences."""
    change = found.accuracy.difference
    ends = "" if change is None or not change.known else f" (95 % interval {change.low:+.1%} to {change.high:+.1%})"
    by = 0 if change is None else change.value
    lines = [
        f"{number_of(found.n, 'decision')} known in both: {found.fixed} fixed and {found.broken} broken by B, accuracy "
        f"{by:+.1%}{ends}; p {probability(found.p)}, where those of an image count together"
    ]
    for run, names in (("A", found.only_in_a), ("B", found.only_in_b)):
        if names:
            told = ", ".join(map(shown, names[:_CLASSES]))
            lines.append(f"run {run} alone decides on {number_of(len(names), 'class', 'classes')}, left out: {told}")
    return "\n".join(lines)


def _value(key: str, interval: Interval | None) -> str:
    return metric_cell(key, None if interval is None else interval.value)


def _ends(key: str, interval: Interval | None) -> str:
    return (
        "-"
        if interval is None or not interval.known
        else f"{metric_cell(key, interval.low)} to {metric_cell(key, interval.high)}"
    )


def comparison_text(found: Comparison) -> str:
    """Return what changed, and what was left out, in sentences."""
    f, n = found.flags, found.n
    left_out = {
        "only in A": found.only_in_a,
        "only in B": found.only_in_b,
        "in both but unread or without a label": found.unread_or_unlabelled,
    }
    lines = [
        f"{number_of(n, 'image')} in both: {found.both_right} right in both, {found.both_wrong} wrong in both, "
        f"{found.n_fixed} fixed and {found.n_broken} broken by B; McNemar's exact p {probability(found.p)}",
        f"flagged by both {f.both}, only by A {f.only_a}, only by B {f.only_b}; they agree on {percent(f.agreement)}",
    ]
    if any(left_out.values()):
        lines.append(f"left out: {', '.join(f'{count} {what}' for what, count in left_out.items() if count)}")
    return "\n".join(lines)
