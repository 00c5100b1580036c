"""Images that belong together: promises count groups, and hold."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.decisions.guarantees_page import most_violations
from uncertainty import ModelOutputs, Policy, Screener
from uncertainty.combination.folds import folds
from uncertainty.combination.mixture import Signals
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import decide
from uncertainty.decisions.plans import plan
from uncertainty.errors import InputError, OutputsError

CONFIDENCE = 0.95
GROUPINGS = [(40, 15), (60, 10), (600, 1)]


def films(groups, size, rng):
    """HeldOut rows of films whose frames are nearly alike: one p_wrong and one answer, but for a frame in twenty."""
    p = np.repeat(rng.beta(0.4, 4, groups), size)
    wrong = np.repeat(rng.random(groups), size) < p
    other = rng.random(len(p)) < 0.05
    wrong = np.where(other, rng.random(len(p)) < p, wrong)
    zero = np.zeros(len(p), dtype=np.int64)
    seen = np.clip(p + rng.normal(0, 0.002, len(p)), 0, 1).astype(np.float32)
    return HeldOut(
        p_wrong=seen,
        weights=np.ones(len(p), dtype=np.float32),
        wrong=wrong,
        condition=zero,
        groups=np.arange(len(p)),
        certifying=zero.astype(bool),
        signals=Signals(np.zeros((len(p), 0)), np.zeros((len(p), 0)), zero),
        clusters=np.repeat(np.arange(groups), size),
    )


def broken(policy, groups, size, draws, told=True):
    """Share of draws in which a promise that was certified is broken among very many other films."""
    rng = np.random.default_rng(groups)
    many = films(20_000, 1, rng)
    found = []
    for _ in range(draws):
        rows = films(groups, size, rng)
        decision = decide(policy, rows if told else replace(rows, clusters=None))
        passed = ~decision.flags(many.p_wrong, many.predicted)
        whole = passed if policy.kind == "max_error" else many.wrong
        bad = (many.wrong & passed).sum() / max(whole.sum(), 1)
        allowed = policy.target if policy.kind == "max_error" else 1 - policy.target
        found.append(not decision.void and passed.any() and bad > allowed)
    return np.mean(found)


POLICIES = [
    Policy.of(max_error=0.05, confidence=CONFIDENCE),
    Policy.of(max_error=0.07, confidence=CONFIDENCE),
    Policy.of(min_recall=0.7, confidence=CONFIDENCE),
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_promises_of_groups_are_kept(policy):
    assert broken(policy, 60, 10, draws=200) <= most_violations(200)


@pytest.mark.simulation
@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize(("groups", "size"), GROUPINGS)
def test_promises_of_groups_are_kept_in_two_thousand_draws(policy, groups, size):
    assert broken(policy, groups, size, draws=2000) <= most_violations(2000)


def test_without_a_word_about_groups_a_promise_is_broken():
    """What the option is for."""
    assert broken(POLICIES[0], 60, 10, draws=200, told=False) > 0.15


def test_forty_groups_are_too_few_for_five_per_cent():
    decision = decide(POLICIES[0], films(40, 15, np.random.default_rng(0)))
    assert decision.void
    assert "59 error-free images of different groups are needed for 5 %" in decision.lines[0].why
    assert "you have 40" in decision.lines[0].why


def test_the_plan_counts_groups_and_its_intervals_are_wider():
    rows = films(60, 10, np.random.default_rng(1))
    decision = decide(Policy.of(budget=0.2), rows)
    told, alone = plan(decision, rows, ["a"]), plan(decision, replace(rows, clusters=None), ["a"])
    assert "on 600 calibration images of 60 groups with" in str(told)
    assert "groups" not in str(alone)
    assert told.whole.left.value == alone.whole.left.value
    assert told.whole.left.high > alone.whole.left.high + 0.01


def test_folds_keep_groups_together_and_share_errors_out():
    rng = np.random.default_rng(0)
    clusters, wrong = np.repeat(np.arange(60), 10), rng.random(600) < 0.2
    fold = folds(wrong, 3, clusters)
    assert all(len(set(fold[clusters == k].tolist())) == 1 for k in range(60))
    assert np.ptp(np.bincount(fold, wrong, minlength=5)) <= 3
    assert np.array_equal(fold, folds(wrong, 3, clusters))


def patients(n, frames, seed):
    """Each patient is one draw of class and logits; frames lie close beside it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    logits = 3.2 * np.eye(4)[labels] + 1.4 * rng.normal(size=(n, 4))
    noisy = np.repeat(logits, frames, axis=0) + 0.05 * rng.normal(size=(n * frames, 4))
    names = [f"{seed}/{k}/{i}" for k in range(n) for i in range(frames)]
    return ModelOutputs(
        ids=names, logits=noisy, labels=np.repeat(labels, frames), groups=np.repeat(np.arange(n), frames)
    )


@pytest.fixture(scope="module")
def screener():
    return Screener.fit_outputs(patients(300, 1, 1), patients(60, 10, 2), policy=POLICIES[1])


def test_a_fit_keeps_groups(screener, tmp_path):
    assert len(np.unique(screener.calibration.clusters)) == 60
    assert screener.plan().groups == 60
    screener.save(tmp_path / "s")
    again = Screener.load(tmp_path / "s")
    assert np.array_equal(again.calibration.clusters, screener.calibration.clusters)
    assert again.plan() == screener.plan()
    assert again.id == screener.id


def test_groups_by_name_in_order_and_as_a_column_are_the_same(screener):
    rows = patients(60, 10, 2)
    apart = replace(rows, groups=None)
    by_order = Screener.fit_outputs(patients(300, 1, 1), apart, policy=POLICIES[1], groups=rows.groups.tolist())
    by_name = Screener.fit_outputs(
        patients(300, 1, 1),
        apart,
        policy=POLICIES[1],
        groups=dict(zip(rows.ids.tolist(), rows.groups.tolist(), strict=True)),
    )
    assert by_order.decision == screener.decision
    assert by_name.plan().groups == 60
    with pytest.raises(InputError, match="no calibration row has a group"):
        Screener.fit_outputs(patients(300, 1, 1), apart, groups={"x": "y"})
    with pytest.raises(OutputsError, match="groups have shape"):
        Screener.fit_outputs(patients(300, 1, 1), apart, groups=[1, 2])
    with pytest.raises(OutputsError, match="row 0 has no group"):
        replace(apart, groups=[None] * 600)


@pytest.mark.simulation
def test_fitted_anew_the_promise_is_kept():
    """Sixty patients of ten frames each: without groups it was broken in 13 of 38."""
    others, bad = patients(4000, 1, 99), 0
    for seed in range(40):
        made = Screener.fit_outputs(patients(200, 1, 1000 + seed), patients(60, 10, 2000 + seed), policy=POLICIES[0])
        passed = ~made.decision.flags(made.p_wrong(others), others.predictions)
        bad += bool(passed.any()) and others.wrong[passed].mean() > 0.05
    assert bad <= 4


def test_the_same_answers_again_count_once():
    """Forty rows promise nothing, however often they are repeated."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 4, 40)
    logits = 3.2 * np.eye(4)[labels] + 1.4 * rng.normal(size=(40, 4))
    once = ModelOutputs(ids=[f"0-{i}" for i in range(40)], logits=logits, labels=labels)
    ten = ModelOutputs(
        ids=[f"{k}-{i}" for k in range(10) for i in range(40)],
        logits=np.tile(logits, (10, 1)),
        labels=np.tile(labels, 10),
    )
    first, again = (Screener.fit_outputs(patients(200, 1, 1), rows, policy=POLICIES[0]) for rows in (once, ten))
    assert again.decision.void
    assert again.decision == first.decision
    assert any(note.startswith("360 of 400 calibration rows give the same answers as others") for note in again.notes)
    assert not any("same answers" in note for note in first.notes)


def test_a_budget_of_few_rows_says_that_they_are_few():
    rows = films(1, 5, np.random.default_rng(0))
    decision = decide(Policy.of(budget=0.1), replace(rows, clusters=None))
    assert str(decision).endswith("on (budget 10 %; no calibration image reaches it)")
    line = decision.lines[0]
    assert line.why == (
        "nothing can be flagged within the budget: 10 % of 5 calibration rows is less than one; give 10 or more"
    )


def test_a_budget_of_everything_flags_surer_images_too():
    rows = films(60, 1, np.random.default_rng(0))
    assert decide(Policy.of(budget=1), rows).flags(np.array([0.0]), np.array([0])).all()
