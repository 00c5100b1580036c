"""What a person wants to know of a fit, in a few lines: is the classifier the one I know, and what do I get?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncertainty.combination.fit import FEW_ERRORS
from uncertainty.decisions.plans import Plan
from uncertainty.metrics.intervals import exact_share

if TYPE_CHECKING:
    from uncertainty.screener import Screener

MANY_ERRORS = 100
"""From which on calibration teaches as much as it can at small cost; see docs/your-images.md."""


def fit_summary(screener: Screener) -> list[str]:
    """Return accuracy, errors and whether they are enough, what the flags buy, and what the second network is worth.

    What the flags catch is counted on calibration images whose p_wrong was said without having seen them.
    """
    on = screener.calibrated_on
    lines = [accuracy(on), errors(on), flags(screener.plan())]
    return [line for line in (*lines, second_opinion(on)) if line]


def accuracy(on: dict[str, Any]) -> str:
    """Say how often the classifier is right; of several labels, in all of an image and in each by itself.

    >>> accuracy({"calibration": 100, "errors": 20, "reference_labelled": 50, "reference_right": 49})
    'accuracy: 98.0% on 50 reference images, 80.0% on 100 calibration images (95 % interval 70.8% to 87.3%): is that \
what you know of it?'
    """
    n, right = on["calibration"], on["calibration"] - on["errors"]
    if not n:
        return ""
    low, high = exact_share(right, n)
    labelled = on.get("reference_labelled", 0)
    good = f"{on['reference_right'] / labelled:.1%} on {labelled} reference images, " if labelled else ""
    several = ""
    if decisions := on.get("decisions"):
        several = f" with every label right, {on['decisions_right'] / decisions:.1%} of single decisions"
    return (
        f"accuracy: {good}{right / n:.1%} on {n} calibration images (95 % interval {low:.1%} to {high:.1%}){several}: "
        "is that what you know of it?"
    )


def errors(on: dict[str, Any]) -> str:
    """Say how many errors calibration has, and whether that is enough.

    >>> errors({"calibration": 500, "errors": 50})
    'errors in calibration: 50, some, and more teach more: about 500 further labelled images would make it 100'
    """
    n, found = on["calibration"], on["errors"]
    if found >= MANY_ERRORS:
        return f"errors in calibration: {found}, enough to learn from"
    how = "some, and more teach more" if found >= FEW_ERRORS else "too few to learn much from"
    if not found:
        return f"errors in calibration: 0, {how}"
    more = round(n / found * (MANY_ERRORS - found))
    return f"errors in calibration: {found}, {how}: about {more} further labelled images would make it {MANY_ERRORS}"


def flags(plan: Plan) -> str:
    """Say which share is flagged, and which share of the errors that catches."""
    flagged, caught = plan.whole.flagged.value, plan.whole.caught
    if flagged is None or caught.value is None:
        return ""
    known = caught.low is not None and caught.high is not None
    interval = f" (95 % interval {caught.low:.0%} to {caught.high:.0%})" if known else ""
    return (
        f"flags: flagging {flagged:.0%} of images like calibration will catch about {caught.value:.0%} of the errors"
        f"{interval}"
    )


def second_opinion(on: dict[str, Any]) -> str:
    """Say how often the second network alone is right."""
    if "second_opinion_right" not in on or not on["calibration"]:
        return ""
    alone, own = (right / on["calibration"] for right in (on["second_opinion_right"], on["calibration"] - on["errors"]))
    return (
        f"second opinion: that network alone, with a linear layer learnt on the reference, is right on {alone:.1%} of "
        f"calibration, the classifier on {own:.1%}"
    )
