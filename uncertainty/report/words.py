"""What the page says in sentences: the summary, and what it can't show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty.screener.batch_level import ADAPTED_TO_BATCH, FLAGGED_BEFORE


class Stressed(str):
    """The part of a sentence that it is about."""

    __slots__ = ()


Sentence = Sequence[str]
"""Pieces of text, of which the `Stressed` ones are shown in bold."""


def summary(data: Mapping[str, Any]) -> list[Sentence]:
    """Say in one to four sentences how many answers are wrong, and what looking at the flagged images finds.

    >>> counts = dict(images=4, unreadable=0, labelled=0, flagged_readable=1)
    >>> counts |= dict(expected_errors=1.6, expected_in_flagged=0.9)
    >>> for sentence in summary({"counts": counts, "evaluation": None}):
    ...     print("".join(sentence))
    The classifier probably gets about 2 of 4 images wrong.
    Looking at the 1 flagged should find 1 of these errors.
    """
    counts, evaluation = data["counts"], data["evaluation"]
    if counts["images"] == counts["unreadable"]:
        return [[Stressed(f"None of {_images(counts['images'])}"), " could be read."]]
    judged = evaluation is not None and counts["labelled"]
    said = _known(counts, evaluation) if judged else _expected(counts)
    if data.get("several"):
        said.append(["An image counts as wrong where any of its labels is."])
    if counts["unreadable"]:
        said.append([Stressed(_images(counts["unreadable"])), " could not be read."])
    return said


def _expected(counts: Mapping[str, Any]) -> list[Sentence]:
    """Speak of errors that nobody has seen: sums of p_wrong."""
    errors, found = round(counts["expected_errors"]), round(counts["expected_in_flagged"])
    of = _images(counts["images"] - counts["unreadable"])
    if not errors:
        return [["The classifier probably gets ", Stressed(f"all {of}"), " right."], *_flags(counts)]
    start: Sentence = ["The classifier probably gets ", Stressed(f"about {errors:,} of {of}"), " wrong."]
    return [start, *_flags(counts, ["should find ", Stressed(f"{_or_none(found)} of these errors"), "."])]


def _known(counts: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[Sentence]:
    """Speak of errors that labels show."""
    some = counts["labelled"] < counts["images"] - counts["unreadable"]
    of = _images(counts["labelled"], "labelled " if some else "")
    if not counts["errors"]:
        return [["The classifier gets ", Stressed(f"all {of}"), " right."], *_flags(counts)]
    found: list[str] = ["finds ", Stressed(f"{_or_none(counts['caught'])} of these errors")]
    kept = evaluation["accuracy_of_unflagged"]
    rest = ["."] if kept is None else [f", and the rest is right {_percent(kept)} of the time."]
    start: Sentence = ["The classifier gets ", Stressed(f"{counts['errors']:,} of {of}"), " wrong."]
    return [start, *_flags(counts, found + rest)]


def _flags(counts: Mapping[str, Any], finding: Sequence[str] = ()) -> list[Sentence]:
    flagged = counts["flagged_readable"]
    if not flagged:
        return [["No image is flagged for a look."]]
    if not finding:
        return [[Stressed(f"{flagged:,} {_are(flagged)} flagged"), " for a look."]]
    return [["Looking at the ", Stressed(f"{flagged:,} flagged"), " ", *finding]]


def basis(provenance: Mapping[str, Any]) -> str:
    """Say what p_wrong was calibrated on, as far as it is known.

    >>> basis({"calibrated_on": {"calibration": 500, "errors": 64, "expected_damage": 0.05}})
    'It was calibrated on 500 labelled images with 64 errors, expecting 5.0% damaged ones.'
    """
    on = provenance.get("calibrated_on") or {}
    if "calibration" not in on:
        return "This verdict table does not say what it was calibrated on."
    beside = f", beside {on['reference']:,} known-good ones" if on.get("reference") else ""
    expected = [
        f"{_percent(on[key])} {what}"
        for key, what in (("expected_damage", "damaged ones"), ("expected_unknown", "of no known class"))
        if on.get(key)
    ]
    expecting = f", expecting {' and '.join(expected)}" if expected else ""
    return (
        f"It was calibrated on {on['calibration']:,} labelled images with {on.get('errors', 0):,} errors{beside}"
        f"{expecting}.{_of_batch(provenance.get(ADAPTED_TO_BATCH))}"
    )


def _of_batch(adapted: Any) -> str:
    """Say that p_wrong depends on all images that were screened.

    >>> _of_batch({"in_words": "more are 'cat' (55 %, in calibration 25 %)", "flagged_before": 30})
    " It is adapted to these images as a batch: more are 'cat' (55 %, in calibration 25 %). Without that 30 would be \
flagged."
    """
    why = adapted.get("in_words") if isinstance(adapted, Mapping) else None
    if not isinstance(why, str):
        return ""
    flags = adapted.get(FLAGGED_BEFORE)
    before = f" Without that {flags:,} would be flagged." if isinstance(flags, int) else ""
    return f" It is adapted to these images as a batch: {why}.{before}"


def missing(data: Mapping[str, Any], *, one_class_each: bool, pictures: int, shown: int) -> list[str]:
    """Say what the page can't show, and why."""
    counts, said = data["counts"], []
    readable = counts["images"] - counts["unreadable"]
    if not counts["labelled"]:
        said.append(
            "Without labels nobody can say which images are wrong: there is no risk-coverage curve, no reliability "
            "diagram and no confusion matrix. Give labels with --labels."
        )
    elif counts["labelled"] < readable:
        said.append(
            f"{readable - counts['labelled']:,} of {readable:,} readable images have no label, or not every answer "
            "of one; everything that needs one rests on the others."
        )
    if counts["labelled"] and not counts["errors"]:
        said.append("There is no error among the labelled images, so nothing can be said of how errors are found.")
    if counts["labelled"] and counts["errors"] == counts["labelled"]:
        said.append("Every labelled image is wrong; are the class names those of the labels?")
    if not one_class_each:
        said.append(
            "Images have several labels each, so in place of a confusion matrix stands which labels are together."
        )
    if shown < counts["images"]:
        said.append(
            f"The gallery shows {shown:,} of {counts['images']:,} images, flagged and wrong ones first; charts and "
            "figures rest on all."
        )
    if pictures < shown:
        said.append(_without_pictures(shown - pictures, shown))
    return said


def _without_pictures(gone: int, shown: int) -> str:
    if gone == shown:
        return "No image was found where it was screened; say with --images where they are now."
    there, why = ("has", "it is gone") if gone == 1 else ("have", "they are gone")
    return f"{gone:,} of {shown:,} images {there} no picture here: {why}, or can't be read."


def _images(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}image{'s' * (count != 1)}"


def _or_none(count: int) -> str:
    return f"{count:,}" if count else "none"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _percent(share: float) -> str:
    return f"{share:.1%}"
