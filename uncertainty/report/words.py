"""What the page says in sentences: the summary, and what it can't show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(data: Mapping[str, Any]) -> list[list[str]]:
    """Return one or two sentences as pieces of text, of which every second one is stressed.

    >>> counts = dict(images=4, flagged=1, unreadable=0, labelled=0, errors=0, expected_errors=0.6)
    >>> "".join(summary({"counts": counts, "evaluation": None})[0])
    'Of 4 images, 1 is flagged for a look; about 1 of all is expected to be wrong.'
    """
    counts, evaluation = data["counts"], data["evaluation"]
    flagged, errors = counts["flagged"], round(counts["expected_errors"])
    start = [f"Of {counts['images']:,} images, ", f"{flagged:,} {_are(flagged)} flagged", " for a look"]
    if evaluation is None or not counts["labelled"]:
        return [[*start, "; about ", f"{errors:,} of all {_are(errors)}", " expected to be wrong."]]
    if not counts["errors"]:
        return [[*start, f". The classifier is right about all {counts['labelled']:,} with a label."]]
    end = [
        "; the flags caught ",
        f"{_percent(evaluation['errors_caught_by_flags'])} of the {counts['errors']:,} errors",
        ".",
    ]
    return [[*start[:2], " for a look" + end[0], *end[1:]], *_gain(evaluation)]


def _gain(evaluation: Mapping[str, Any]) -> list[list[str]]:
    kept = evaluation["accuracy_of_unflagged"]
    if kept is None:
        return []
    return [
        [
            "What was not flagged is right ",
            f"{_percent(kept)} of the time",
            f", against {_percent(evaluation['accuracy'])} of everything.",
        ]
    ]


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
        f"{expecting}."
    )


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
            f"{readable - counts['labelled']:,} of {readable:,} readable images have no label; everything that needs "
            "one rests on the others."
        )
    if counts["labelled"] and not counts["errors"]:
        said.append("There is no error among the labelled images, so nothing can be said of how errors are found.")
    if counts["labelled"] and counts["errors"] == counts["labelled"]:
        said.append("Every labelled image is wrong; are the class names those of the labels?")
    if not one_class_each:
        said.append("Images have several labels each, so there is no confusion matrix.")
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
    return f"{gone:,} of {shown:,} images have no picture here: they are gone, or can't be read."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _percent(share: float) -> str:
    return f"{share:.1%}"
