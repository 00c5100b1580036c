"""What the page says in sentences."""

import pytest

from uncertainty.report.words import basis, missing, summary

COUNTS = {"images": 1200, "flagged": 120, "unreadable": 0, "labelled": 1000, "errors": 80, "expected_errors": 77.6}


def said(counts, **evaluation):
    pieces = summary({"counts": COUNTS | counts, "evaluation": evaluation or None})
    return " ".join("".join(sentence) for sentence in pieces)


def test_the_summary_in_every_situation():
    assert (
        said({"labelled": 0})
        == "Of 1,200 images, 120 are flagged for a look; about 78 of all are expected to be wrong."
    )
    assert said({}, errors_caught_by_flags=0.75, accuracy_of_unflagged=0.98, accuracy=0.92) == (
        "Of 1,200 images, 120 are flagged for a look; the flags caught 75.0% of the 80 errors. What was not flagged is "
        "right 98.0% of the time, against 92.0% of everything."
    )
    everything = said({}, errors_caught_by_flags=1.0, accuracy_of_unflagged=None, accuracy=0.92)
    assert everything.endswith("the flags caught 100.0% of the 80 errors.")
    assert said({"errors": 0}, accuracy=1.0).endswith("The classifier is right about all 1,000 with a label.")


@pytest.mark.parametrize(
    ("counts", "options", "says"),
    [
        ({}, {}, None),
        ({"labelled": 0, "errors": 0}, {}, "--labels"),
        ({"labelled": 200}, {"one_class_each": False}, "several labels"),
        ({}, {"shown": 20, "pictures": 20}, "The gallery shows 20 of 1,200 images"),
        ({}, {"pictures": 0}, "No image was found"),
        ({}, {"pictures": 1199}, "1 of 1,200 images have no picture"),
    ],
)
def test_what_can_not_be_shown(counts, options, says):
    counts = COUNTS | {"labelled": 1200} | counts
    notes = missing({"counts": counts}, **{"one_class_each": True, "pictures": 1200, "shown": 1200} | options)
    assert notes == [] if says is None else any(says in note for note in notes)


def test_the_basis_as_far_as_it_is_known():
    assert basis({}) == "This verdict table does not say what it was calibrated on."
    on = {"calibration": 5000, "errors": 612, "reference": 20_000, "expected_damage": 0.05, "expected_unknown": 0.003}
    assert basis({"calibrated_on": on}) == (
        "It was calibrated on 5,000 labelled images with 612 errors, beside 20,000 known-good ones, expecting 5.0% "
        "damaged ones and 0.3% of no known class."
    )
