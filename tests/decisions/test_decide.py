"""From a policy to thresholds: by hand, at the edges, and for each class its own."""

import json

import numpy as np
import pytest

from uncertainty.combination.mixture import Signals
from uncertainty.decisions.calibration_rows import ARRAYS, HeldOut
from uncertainty.decisions.decide import Decision, decide
from uncertainty.decisions.plans import Share, plan
from uncertainty.decisions.policies import Policy
from uncertainty.decisions.thresholds import EVERYTHING, NOTHING
from uncertainty.errors import ArtifactError, CalibrationError

CLASSES = ("cat", "dog", "eel", "fox")


def rows(p_wrong, wrong, predicted=None, condition=None, weights=None, certifying=None):
    n = len(p_wrong)
    filled = [np.zeros(n, dtype=np.int64) if one is None else np.asarray(one) for one in (predicted, condition)]
    return HeldOut(
        p_wrong=np.asarray(p_wrong, dtype=np.float32),
        weights=np.ones(n, dtype=np.float32) if weights is None else np.asarray(weights, dtype=np.float32),
        wrong=np.asarray(wrong, dtype=bool),
        condition=filled[1],
        groups=np.arange(n),
        certifying=np.zeros(n, dtype=bool) if certifying is None else np.asarray(certifying, dtype=bool),
        signals=Signals(np.zeros((n, 0)), np.zeros((n, 0)), filled[0]),
    )


def made(n=2000, seed=0, shares=(0.5, 0.3, 0.19, 0.01)):
    rng = np.random.default_rng(seed)
    predicted = rng.choice(4, n, p=shares)
    p = rng.beta(0.3, 3, n).astype(np.float32)
    return rows(p, rng.random(n) < p, predicted)


def the_line(policy, held):
    (line,) = decide(policy, held).lines
    return line


def test_max_error_flags_from_the_first_image_that_is_not_accepted():
    p, wrong = np.linspace(0.001, 0.9, 100), np.arange(100) >= 70
    line = the_line(Policy.of(max_error=0.05), rows(p, wrong))
    assert line.certified
    accepted = p.astype(np.float32) < np.float32(line.threshold)
    assert accepted.sum() >= 70
    assert line.threshold in p.astype(np.float32)


def test_59_images_are_needed_and_41_are_there():
    line = the_line(Policy.of(max_error=0.05), rows(np.linspace(0.01, 0.1, 41), np.zeros(41)))
    assert (line.certified, line.threshold, line.support) == (False, EVERYTHING, 41)
    assert line.why == (
        "insufficient support, the guarantee is void: 59 error-free images are needed for 5 % at 95 % confidence, "
        "you have 41; all is flagged"
    )


def test_too_many_errors_are_said_to_be_that():
    line = the_line(Policy.of(max_error=0.01), rows(np.linspace(0.01, 0.5, 900), np.arange(900) % 5 == 0))
    assert (line.certified, line.threshold) == (False, EVERYTHING)
    assert "too many to certify it; all is flagged" in line.why


def test_everything_may_be_accepted():
    line = the_line(Policy.of(max_error=0.05), rows(np.linspace(0.01, 0.1, 80), np.zeros(80)))
    assert (line.certified, line.threshold) == (True, NOTHING)


def test_min_recall_takes_the_lowest_error_that_may_be_the_first_caught():
    p = np.linspace(0.01, 0.99, 99)
    wrong = p > 0.395
    assert wrong.sum() == 60
    line = the_line(Policy.of(min_recall=0.95), rows(p, wrong))
    assert (line.certified, line.support) == (True, 60)
    assert line.threshold == np.float32(p[wrong][0])
    fewer = the_line(Policy.of(min_recall=0.95), rows(p[:-2], wrong[:-2]))
    assert "59 errors are needed for 95 % at 95 % confidence, you have 58" in fewer.why
    assert fewer.threshold == EVERYTHING


def test_without_errors_there_is_no_recall():
    for confidence in (0, 0.9):
        line = the_line(Policy.of(min_recall=0.9, confidence=confidence), rows(np.linspace(0, 1, 50), np.zeros(50)))
        assert line.why.startswith("insufficient support: calibration has no errors")
        assert line.threshold == EVERYTHING


def test_min_precision_is_the_mirror_image():
    p = np.linspace(0.01, 0.99, 200)
    line = the_line(Policy.of(min_precision=0.8), rows(p, np.arange(200) >= 120))
    assert line.certified
    flagged = p.astype(np.float32) >= np.float32(line.threshold)
    assert 60 <= flagged.sum() <= 100
    void = the_line(Policy.of(min_precision=0.8), rows(p[:10], np.ones(10)))
    assert void.threshold == NOTHING
    assert "14 images, all of them errors, are needed for 80 %" in void.why
    assert the_line(Policy.of(min_precision=0.8), rows(p, np.ones(200))).threshold == EVERYTHING


def test_no_confidence_reads_the_target_off_the_curve():
    held = rows(np.linspace(0.1, 1, 10), [0, 0, 0, 1, 0, 0, 1, 0, 1, 1])
    error = the_line(Policy.of(max_error=0.17, confidence=0), held)
    assert (error.certified, error.threshold) == (None, pytest.approx(0.7))
    recall = the_line(Policy.of(min_recall=0.75, confidence=0), held)
    assert recall.threshold == pytest.approx(0.7)
    precision = the_line(Policy.of(min_precision=0.75, confidence=0), held)
    assert 0.6 < precision.threshold < 0.7
    hopeless = the_line(Policy.of(max_error=0.1, confidence=0), rows([0.1, 0.2], [1, 1]))
    assert hopeless.why.startswith("insufficient support: no threshold reaches it")


def test_costs_draw_the_line_where_both_are_equal():
    held = made()
    decision = decide(Policy.of(cost_miss=10, cost_review=1), held)
    assert decision.lines[0].threshold == np.float32(0.1)
    p = held.p_wrong.astype(float)

    def expected(threshold):
        flagged = p >= threshold
        return 10 * p[~flagged].sum() + flagged.sum()

    assert min(expected(t) for t in np.linspace(0, 1, 101)) == pytest.approx(expected(0.1))
    cost = plan(decision, held, CLASSES).cost
    assert cost["with these flags"] < min(cost["if all were reviewed"], cost["if none were"])


def test_promises_count_clean_rows_once_and_budgets_weigh_all():
    clean = made(500)
    n = 500
    both = rows(
        np.concatenate([clean.p_wrong, np.full(n, 0.99)]),
        np.concatenate([clean.wrong, np.ones(n, dtype=bool)]),
        condition=np.repeat([0, 1], n),
        weights=np.repeat([1.0, 0.1], n),
    )
    alone = rows(clean.p_wrong, clean.wrong)
    for asked in ({"max_error": 0.05}, {"min_recall": 0.8}, {"min_precision": 0.3}):
        assert decide(Policy.of(**asked), both) == decide(Policy.of(**asked), alone)
    assert decide(Policy.of(budget=0.1), both) != decide(Policy.of(budget=0.1), alone)


def test_rows_kept_back_are_the_only_ones_that_certify():
    held = made(1000)
    kept = np.arange(1000) < 300
    some = rows(held.p_wrong, held.wrong, held.predicted, certifying=kept)
    assert decide(Policy.of(max_error=0.05), some) == decide(Policy.of(max_error=0.05), held.take(kept))


def test_each_class_has_its_own_line_and_small_ones_share_one():
    held = made(4000)
    decision = decide(Policy.of(max_error=0.1, per_class=True), held)
    assert [line.classes for line in decision.lines] == [(0,), (1,), (2,), (3,)] or decision.lines[-1].classes[-1] == 3
    for line in decision.lines:
        own = held.take(np.isin(held.predicted, line.classes))
        assert line.support == len(own)
    thresholds = decision.thresholds(held.predicted)
    for k in range(4):
        assert set(thresholds[held.predicted == k]) == {np.float32(decision.line(k).threshold)}


def test_a_curve_for_each_class():
    p = np.tile(np.linspace(0.1, 1, 100), 2)
    wrong = np.concatenate([np.arange(100) >= 50, np.arange(100) >= 80])
    decision = decide(Policy.of(min_recall=0.9, confidence=0, per_class=True), rows(p, wrong, np.repeat([0, 1], 100)))
    assert [line.threshold for line in decision.lines] == pytest.approx([p[55], p[82]])


def test_a_budget_for_each_class():
    held = made(3000, shares=(0.6, 0.2, 0.19, 0.01))
    decision = decide(Policy.of(budget=0.2, per_class=True), held)
    flagged = decision.flags(held.p_wrong, held.predicted)
    for k in (0, 1, 2):
        assert flagged[held.predicted == k].mean() == pytest.approx(0.2, abs=0.01)
    assert decision.lines[-1].classes == (3,)


def test_a_class_that_calibration_lacks_is_always_flagged():
    held = made(3000, shares=(0.5, 0.3, 0.2, 0.0))
    decision = decide(Policy.of(max_error=0.1, per_class=True), held)
    assert decision.line(3) is None
    assert decision.thresholds(np.array([3]))[0] == EVERYTHING
    assert decision.flags(np.zeros(1), np.array([3])).all()


def test_multilabel_rows_have_no_class_to_go_by():
    with pytest.raises(CalibrationError, match="per_class needs one predicted class"):
        decide(Policy.of(budget=0.1, per_class=True), rows([0.1, 0.2], [0, 1], predicted=[-1, -1]))


def test_a_decision_comes_back_from_json():
    for asked in ({"max_error": 0.1, "per_class": True}, {"cost_miss": 3, "cost_review": 1}, {"min_recall": 0.999}):
        decision = decide(Policy.of(**asked), made(800))
        assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


@pytest.mark.parametrize(
    "damage",
    [
        {"lines": [{"threshold": 1}]},
        {"policy": {"kind": "magic"}},
        {"policy": {"kind": "max_error", "target": 7}},
        {"lines": None},
    ],
)
def test_a_damaged_decision_is_refused(damage):
    with pytest.raises(ArtifactError, match="the saved policy is damaged"):
        Decision.from_dict(decide(Policy.of(), made(50)).to_dict() | damage)


def test_held_out_rows_come_back_from_arrays():
    held = made(50)
    arrays = held.arrays()
    assert tuple(arrays) == ARRAYS
    back = HeldOut.from_arrays(arrays)
    for name in ("p_wrong", "weights", "wrong", "condition", "groups", "certifying", "predicted"):
        assert getattr(back, name).tolist() == getattr(held, name).tolist()


def test_a_plan_counts_what_happens():
    held = rows([0.1, 0.2, 0.6, 0.8], [0, 1, 0, 1])
    found = plan(decide(Policy.of(threshold=0.5), held), held, CLASSES)
    assert (found.images, found.errors) == (4, 2)
    whole = found.whole
    counts = [(share.hits, share.rows) for share in (whole.flagged, whole.caught, whole.left, whole.precision)]
    assert counts == [(2, 4), (1, 2), (1, 2), (1, 2)]
    assert whole.flagged.low == pytest.approx(0.0676, abs=1e-4)  # Clopper-Pearson of 2 in 4
    assert "50.0% (95 % interval 6.8% to 93.2%)" in str(found)


def test_a_plan_of_nothing_flagged_makes_up_no_number():
    held = rows([0.1, 0.2], [0, 0])
    whole = plan(decide(Policy.of(threshold=0.5), held), held, CLASSES).whole
    assert whole.caught == Share(0, 0, None, 0.0, 1.0)
    assert str(whole.precision) == "can't be said"


def test_a_plan_tells_each_class_and_what_is_void():
    found = plan(decide(Policy.of(max_error=0.1, per_class=True), made(3000)), made(3000), CLASSES)
    assert {name for part in found.parts for name in part.classes} == set(CLASSES)
    assert sum(part.flagged.rows for part in found.parts) == found.images
    few = made(60)
    text = str(plan(decide(Policy.of(max_error=0.01, per_class=True), few), few, CLASSES))
    assert "NOT certified" in text
    assert "warning: cat, dog, eel" in text
    assert "you have 60" in text
