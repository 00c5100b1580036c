"""One question at a time, in range, and said in words."""

import pytest

from uncertainty.decisions.policies import Policy
from uncertainty.defaults import BUDGET, CONFIDENCE
from uncertainty.errors import InputError


def test_nothing_asked_is_the_default_budget():
    assert Policy.of() == Policy.of(budget=BUDGET)
    assert Policy.of(per_class=True).per_class


def test_promises_have_a_confidence_and_others_none():
    assert Policy.of(max_error=0.05).confidence == CONFIDENCE
    assert Policy.of(min_recall=0.9, confidence=0.8).confidence == 0.8
    assert Policy.of(min_precision=0.9, confidence=0).confidence == 0
    assert Policy.of(budget=0.2).confidence == 0
    with pytest.raises(InputError, match=r"confidence 0\.9 has nothing to hold for: budget is no promise"):
        Policy.of(budget=0.2, confidence=0.9)


def test_two_questions_contradict_each_other():
    with pytest.raises(InputError, match=r"^budget and max_error are two questions"):
        Policy.of(budget=0.1, max_error=0.1)
    with pytest.raises(InputError, match="costs and threshold"):
        Policy.of(cost_miss=2, cost_review=1, threshold=0.3)
    with pytest.raises(InputError, match="min_recall and max_error and min_precision"):
        Policy.of(min_recall=0.9, max_error=0.1, min_precision=0.5)


@pytest.mark.parametrize("kind", ["min_recall", "max_error", "min_precision"])
@pytest.mark.parametrize("target", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_promise_is_a_share_inside_0_and_1(kind, target):
    with pytest.raises(InputError, match=f"{kind} is .*; it must be a share above 0 and below 1"):
        Policy.of(**{kind: target})


@pytest.mark.parametrize("kind", ["budget", "threshold"])
@pytest.mark.parametrize("target", [-0.01, 1.01, float("nan")])
def test_budget_and_threshold_are_shares(kind, target):
    assert Policy.of(**{kind: 0}).target == 0
    assert Policy.of(**{kind: 1}).target == 1
    with pytest.raises(InputError, match=rf"{kind} is {target}; it must be a share between 0 and 1"):
        Policy.of(**{kind: target})


@pytest.mark.parametrize("confidence", [1, -0.1, 2, float("nan")])
def test_nobody_can_be_certain(confidence):
    with pytest.raises(InputError, match="confidence is"):
        Policy.of(max_error=0.1, confidence=confidence)


def test_costs_are_two_numbers_of_which_a_miss_is_the_larger():
    assert Policy.of(cost_miss=20, cost_review=1).target == 0.05
    assert Policy.of(cost_miss=20, cost_review=0).target == 0
    with pytest.raises(InputError, match="belong together"):
        Policy.of(cost_miss=1)
    with pytest.raises(InputError, match="nothing would ever be flagged"):
        Policy.of(cost_miss=1, cost_review=1)
    for miss, review in ((0, 0), (-1, -2), (float("inf"), 1), (float("nan"), 1), (1, float("nan"))):
        with pytest.raises(InputError, match="must be numbers"):
            Policy.of(cost_miss=miss, cost_review=review)


def test_one_threshold_for_all_is_not_one_for_each_class():
    for asked in ({"threshold": 0.5}, {"cost_miss": 2, "cost_review": 1}):
        with pytest.raises(InputError, match="per_class has nothing to decide"):
            Policy.of(**asked, per_class=True)


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="method 'magic' is not one of fixed-sequence, sgr"):
        Policy.of(max_error=0.1, method="magic")


def test_in_words():
    assert str(Policy.of(budget=0.1)) == "budget 10 %"
    assert str(Policy.of(threshold=0.25)) == "fixed threshold 0.25"
    assert str(Policy.of(min_recall=0.9, per_class=True)) == (
        "at least 90 % of the errors flagged, for each class, with 95 % confidence"
    )
    assert str(Policy.of(min_precision=0.5, confidence=0)) == "at least 50 % wrong of what is flagged"
