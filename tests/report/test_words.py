"""What the page says in sentences."""

import pytest

from uncertainty.report.words import Stressed, basis, missing, summary

COUNTS = {
    "images": 1200,
    "flagged_readable": 120,
    "unreadable": 0,
    "labelled": 1200,
    "errors": 80,
    "caught": 60,
    "expected_errors": 77.6,
    "expected_in_flagged": 51.2,
}
NOT_EVALUATED = {"labelled": 0, "errors": 0, "caught": 0}


def said(counts, **evaluation):
    pieces = summary({"counts": COUNTS | counts, "evaluation": evaluation or None})
    return " ".join("".join(f"<{p}>" if isinstance(p, Stressed) else p for p in sentence) for sentence in pieces)


@pytest.mark.parametrize(
    ("counts", "evaluation", "says"),
    [
        (
            NOT_EVALUATED,
            {},
            "The classifier probably gets <about 78 of 1,200 images> wrong. "
            "Looking at the <120 flagged> should find <51 of these errors>.",
        ),
        (
            NOT_EVALUATED | {"unreadable": 1},
            {},
            "The classifier probably gets <about 78 of 1,199 images> wrong. "
            "Looking at the <120 flagged> should find <51 of these errors>. <1 image> could not be read.",
        ),
        (
            NOT_EVALUATED | {"expected_errors": 0.3},
            {},
            "The classifier probably gets <all 1,200 images> right. <120 are flagged> for a look.",
        ),
        (
            NOT_EVALUATED | {"flagged_readable": 0},
            {},
            "The classifier probably gets <about 78 of 1,200 images> wrong. No image is flagged for a look.",
        ),
        (NOT_EVALUATED | {"images": 2, "unreadable": 2}, {}, "<None of 2 images> could be read."),
        (
            {},
            {"accuracy_of_unflagged": 0.98},
            "The classifier gets <80 of 1,200 images> wrong. "
            "Looking at the <120 flagged> finds <60 of these errors>, and the rest is right 98.0% of the time.",
        ),
        (
            {"labelled": 500},
            {"accuracy_of_unflagged": None},
            "The classifier gets <80 of 500 labelled images> wrong. "
            "Looking at the <120 flagged> finds <60 of these errors>.",
        ),
        (
            {"caught": 0},
            {"accuracy_of_unflagged": 0.9},
            "The classifier gets <80 of 1,200 images> wrong. "
            "Looking at the <120 flagged> finds <none of these errors>, and the rest is right 90.0% of the time.",
        ),
        (
            {"errors": 0, "flagged_readable": 1},
            {"accuracy_of_unflagged": 1.0},
            "The classifier gets <all 1,200 images> right. <1 is flagged> for a look.",
        ),
    ],
)
def test_the_headline_in_every_situation(counts, evaluation, says):
    assert said(counts, **evaluation) == says


def test_the_headline_says_what_a_wrong_image_is_where_it_has_several_labels():
    pieces = summary({"counts": COUNTS | NOT_EVALUATED, "evaluation": None, "several": {"by_class": []}})
    assert pieces[-1] == ["An image counts as wrong where any of its labels is."]


@pytest.mark.parametrize(
    ("counts", "options", "says"),
    [
        ({}, {}, None),
        ({"labelled": 0, "errors": 0}, {}, "--labels"),
        ({"labelled": 200}, {"one_class_each": False}, "several labels"),
        ({}, {"shown": 20, "pictures": 20}, "The gallery shows 20 of 1,200 images"),
        ({}, {"pictures": 0}, "No image was found"),
        ({}, {"pictures": 1199}, "1 of 1,200 images has no picture"),
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
