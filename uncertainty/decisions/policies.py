"""What is asked of the flags, as one plain question; `decide.py` finds the thresholds that answer it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from uncertainty.decisions.guarantees import METHODS, Method
from uncertainty.defaults import BUDGET, CONFIDENCE
from uncertainty.errors import InputError

Kind = Literal["budget", "min_recall", "max_error", "min_precision", "costs", "threshold"]
PROMISES: tuple[Kind, ...] = ("min_recall", "max_error", "min_precision")
"""Kinds that hold for new images with a confidence, where they can be certified."""


@dataclass(frozen=True)
class Policy:
    """One question; make one with `Policy.of`, which checks it.

    Parameters
    ----------
    kind : "budget" (flag at most this share), "min_recall" (catch at least this share of the errors), "max_error" (of
        what is not flagged, at most this share is wrong), "min_precision" (of what is flagged, at least this share is
        wrong), "costs" (cheapest expected), "threshold" (flag from this p_wrong on).
    target : the share or p_wrong; for costs, that of a review over that of a miss.
    confidence : C of the three promises, over the draw of the calibration rows; 0 reads the target off the
        calibration curve and promises nothing. 0 for the other kinds.
    cost_miss, cost_review : of the kind "costs".
    per_class : a threshold for each predicted class; a promise then holds for all of them together.
    per_decision : of several labels an image, each decision (has it this label?) is flagged by itself, and counts where
        images are counted else; `per_class` then is a threshold for each label.
    method : how `max_error` and `min_precision` are certified.

    """

    kind: Kind
    target: float
    confidence: float = 0.0
    cost_miss: float | None = None
    cost_review: float | None = None
    per_class: bool = False
    method: Method = "fixed-sequence"
    per_decision: bool = False

    @classmethod
    def of(
        cls,
        *,
        budget: float | None = None,
        min_recall: float | None = None,
        max_error: float | None = None,
        min_precision: float | None = None,
        cost_miss: float | None = None,
        cost_review: float | None = None,
        threshold: float | None = None,
        confidence: float | None = None,
        per_class: bool = False,
        method: Method = "fixed-sequence",
        per_decision: bool = False,
    ) -> Self:
        """Return the policy of the one question asked, the default budget where none is.

        Raises InputError for two questions at once, half of the costs, or a number out of range.

        >>> Policy.of(max_error=0.05)
        Policy(kind='max_error', target=0.05, confidence=0.95, cost_miss=None, cost_review=None, per_class=False, \
method='fixed-sequence', per_decision=False)
        """
        if (cost_miss is None) != (cost_review is None):
            raise InputError("cost_miss and cost_review belong together; give both, in the same currency")
        costs = None if cost_miss is None or cost_review is None else _cost_ratio(cost_miss, cost_review)
        asked: dict[Kind, float | None] = {
            "budget": budget,
            "min_recall": min_recall,
            "max_error": max_error,
            "min_precision": min_precision,
            "costs": costs,
            "threshold": threshold,
        }
        given = [kind for kind, value in asked.items() if value is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} are two questions; one set of flags answers one, choose")
        kind: Kind = given[0] if given else "budget"
        target = asked[kind]
        promise = kind in PROMISES
        if not promise and confidence is not None:
            raise InputError(f"confidence {confidence:g} has nothing to hold for: {kind} is no promise; leave it out")
        policy = cls(
            kind=kind,
            target=BUDGET if target is None else target,
            confidence=(CONFIDENCE if confidence is None else confidence) if promise else 0.0,
            cost_miss=cost_miss,
            cost_review=cost_review,
            per_class=per_class,
            method=method,
            per_decision=per_decision,
        )
        return policy.checked()

    def checked(self) -> Self:
        """Return it, or raise InputError for a number out of range, or a question that means nothing."""
        promise = self.kind in PROMISES
        if promise and not 0 < self.target < 1:
            raise InputError(f"{self.kind} is {self.target:g}; it must be a share above 0 and below 1")
        if not promise and not 0 <= self.target <= 1:
            raise InputError(f"{self.kind} is {self.target}; it must be a share between 0 and 1")
        if not 0 <= self.confidence < 1:
            raise InputError(f"confidence is {self.confidence:g}; it must be below 1, and 0 or above")
        if self.method not in METHODS:
            raise InputError(f"method {self.method!r} is not one of {', '.join(METHODS)}")
        if self.per_class and self.kind in ("costs", "threshold"):
            raise InputError(f"per_class has nothing to decide: {self.kind} is one threshold for all classes")
        return self

    def __str__(self) -> str:
        """In words.

        >>> str(Policy.of(max_error=0.02, confidence=0.9)), str(Policy.of(cost_miss=20, cost_review=1))
        ('at most 2 % wrong of what is not flagged, with 90 % confidence', 'cheapest if a miss costs 20 and a review 1')
        >>> str(Policy.of(max_error=0.02, per_decision=True, per_class=True))
        'at most 2 % wrong of the decisions not flagged, for each label, with 95 % confidence'
        """
        one = self.per_decision
        passed, flagged = ("the decisions not flagged", "the flagged ones") if one else (
            "what is not flagged", "what is flagged")  # fmt: skip
        words = {
            "budget": f"budget {percent(self.target)}{' of the decisions' * one}",
            "min_recall": f"at least {percent(self.target)} of the {'wrong decisions' if one else 'errors'} flagged",
            "max_error": f"at most {percent(self.target)} wrong of {passed}",
            "min_precision": f"at least {percent(self.target)} wrong of {flagged}",
            "costs": f"cheapest if a miss costs {self.cost_miss} and a review {self.cost_review}",
            "threshold": f"fixed threshold {self.target:.4g}",
        }
        each = ", for each label" if one else ", for each class"
        sure = f", with {percent(self.confidence)} confidence" if self.confidence else ""
        return f"{words[self.kind]}{each * self.per_class}{sure}"


def _cost_ratio(miss: float, review: float) -> float:
    if not (0 < miss < math.inf and 0 <= review < math.inf):
        raise InputError(f"cost_miss {miss:g} and cost_review {review:g} must be numbers, the first above 0")
    if review >= miss:
        raise InputError(
            f"a review at {review:g} costs as much as a miss at {miss:g}: nothing would ever be flagged; "
            "give a cost_miss above cost_review"
        )
    return review / miss


def percent(share: float) -> str:
    """Return a share as per cent, with the digits it needs.

    >>> percent(0.05), percent(0.005)
    ('5 %', '0.5 %')
    """
    return f"{100 * share:.4g} %"
