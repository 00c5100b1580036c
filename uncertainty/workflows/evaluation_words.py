"""What an evaluation says first, in the four lines that a person wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncertainty.evaluation.screening_quality import Evaluation
from uncertainty.figures import number_of, percent

if TYPE_CHECKING:
    from uncertainty.evaluation.confusion import ClassReport
    from uncertainty.evaluation.slices import SliceReport
    from uncertainty.recalibration.label_origin import LabelOrigin
    from uncertainty.recalibration.sampling_weights import DesignEstimate

_PAIRS = 3


def opening(
    e: Evaluation, classes: ClassReport, slices: SliceReport, origin: LabelOrigin, design: DesignEstimate | None
) -> list[str]:
    """Return four lines: accuracy, errors caught by how many flags, against max softmax and chance, where they lie.

    Where not all images have labels the first says how they came by them.
    """
    right = e.n - e.n_errors
    kind, have = (
        ("wholly answered image", "are wholly answered") if e.n_partly_answered else ("labelled image", "have labels")
    )
    accuracy = f"accuracy {percent(e.accuracy)}: {right} of {number_of(e.n, kind)} right"
    if classes.task == "multilabel":
        accuracy = f"{accuracy} in every label"
    if (d := design) is not None:
        accuracy = (
            f"accuracy of all images about {d.accuracy:.1%} (95 % interval {d.low:.1%} to {d.high:.1%}); {accuracy}"
        )
    if how := origin.words(have):
        accuracy = f"{accuracy}; {how}"
    return [accuracy, *_flags(e), f"where the errors lie: {_where(classes, slices) or 'there are none'}"]


def _flags(e: Evaluation) -> list[str]:
    flags = round((e.flagged_share or 0) * e.n)
    caught = round((e.errors_caught_by_flags or 0) * e.n_errors)
    share = "" if e.errors_caught_by_flags is None else f" ({percent(e.errors_caught_by_flags)})"
    by = number_of(flags, "flag")
    same = e.caught_by_max_softmax
    if same is None:
        return [f"errors caught: there are none; {by}", f"by {by} chosen by max softmax or by chance: none either"]
    chance = e.n_errors * (e.flagged_share or 0)
    return [
        f"errors caught: {caught} of {e.n_errors}{share} by {by}, which are {percent(e.flagged_share)} of the images",
        f"by as many images chosen by max softmax: {same:.0f}; by chance: {chance:.0f}",
    ]


def _where(classes: ClassReport, slices: SliceReport) -> str:
    """Name the pairs most often confused, the class that hides most errors, and slices that go with errors."""
    said = [_by_class(classes)] if classes.task == "multilabel" else []
    if pairs := classes.confused_pairs[:_PAIRS]:
        named = [f"{one.label!r} taken for {one.predicted_label!r} ({number_of(one.count, 'time')})" for one in pairs]
        said.append(", ".join(named))
    if classes.task == "multiclass" and (hides := _most_missed(classes)):
        said.append(hides)
    if worse := [one.name for one in slices.slices if one.conclusion == "more errors"]:
        rest = f" and {len(worse) - _PAIRS} more" if len(worse) > _PAIRS else ""
        said.append(f"more of them among {', '.join(worse[:_PAIRS])}{rest} images")
    return "; ".join(filter(None, said))


def _by_class(classes: ClassReport) -> str:
    """Name the labels that are wrong most often, and in which way."""
    worst = sorted(classes.per_class, key=lambda one: -one.false_positives - one.false_negatives)[:_PAIRS]
    return ", ".join(
        f"{one.class_name!r} missed {number_of(one.false_negatives, 'time')} and wrongly given {one.false_positives}"
        for one in worst
        if one.false_positives + one.false_negatives
    )


def _most_missed(classes: ClassReport) -> str:
    rows = [one for one in classes.per_class if one.false_positives]
    if not rows:
        return ""
    worst = max(rows, key=lambda one: one.false_positives)
    return f"{worst.false_positives} in what was predicted to be {worst.class_name!r}"
