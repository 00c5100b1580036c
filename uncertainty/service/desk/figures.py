"""The standing of a review in words and figures, for the head of the page and for the page of its own."""

from __future__ import annotations

from typing import Any

from uncertainty.annotation.expected_yield import Yield
from uncertainty.figures import number_of
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.standing import Standing
from uncertainty.workflows.check_labels import agreement_in_words


def headline(desk: Desk) -> dict[str, Any]:
    """Return what the page shows above the image: how much is done, errors found and expected, and the outlook."""
    found = desk.standing()
    ahead = found.outlook
    return {
        "done": found.expected.n + found.unusable + len(found.differing),
        "images": found.images,
        "found": found.found,
        "expected": _expected(found.expected),
        "stop": ahead is not None and ahead.stop,
        "outlook": outlook_in_words(found),
        "accuracy": accuracy_in_words(found),
    }


def figures(desk: Desk) -> dict[str, Any]:
    """Return what the page of progress says."""
    found = desk.standing()
    names = desk.screened.names
    return {
        "standing": found,
        "answered": number_of(found.expected.n, "image"),
        "outlook": outlook_in_words(found),
        "stop": found.outlook is not None and found.outlook.stop,
        "accuracy": accuracy_in_words(found),
        "agreement": [agreement_in_words(one) for one in desk.agreement()],
        "differing": [(row, names[row]) for row in found.differing],
        "notes": desk.notes,
    }


def outlook_in_words(found: Standing) -> str:
    """Say whether further review is worth it, or that too few images have an answer to tell."""
    if found.outlook is None:
        return "Too few images have an answer to say when to stop."
    return found.outlook.words()


def accuracy_in_words(found: Standing) -> str:
    """Say how accurate the classifier is on all images, from those that were drawn."""
    one = found.accuracy
    if one is None:
        return "Beyond what the ranking has passed no drawn image has an answer yet, so nothing is said of all images."
    from_what = f"from {number_of(one.by_chance, 'drawn image')}" if one.by_chance else "each of which has an answer"
    return f"{one.accuracy:.1%} of all images are right (95 % interval {one.low:.1%} to {one.high:.1%}), {from_what}."


def _expected(found: Yield) -> str:
    return f"{found.errors:.0f} (95 % interval {found.low:.0f} to {found.high:.0f})"
