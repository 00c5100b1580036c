"""Policies on single decisions: what is flagged of them, and promises over thousands of draws."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from uncertainty.combination.mixture import Signals
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, decide
from uncertainty.decisions.each_decision import as_rows, flags_of_decisions
from uncertainty.decisions.plans import plan
from uncertainty.decisions.policies import Policy
from uncertainty.errors import CalibrationError

CLASSES = ("a", "b", "c")


def images(n):
    """N clean calibration images of a classifier that gives several labels."""
    no, zero = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    signals = Signals(np.zeros((n, 0)), np.zeros((n, 0)), zero - 1)
    p = np.full(n, 0.5, dtype=np.float32)
    return HeldOut(p, np.ones(n, dtype=np.float32), no, zero, np.arange(n), no, signals)


def drawn(n, rng):
    """p_wrong and errors of three decisions an image, which are wrong together."""
    shared = rng.normal(size=(n, 1))
    chance = 1 / (1 + np.exp(-(np.array([-3.0, -2.5, -4.0]) + 1.5 * shared + rng.normal(size=(n, 3)))))
    lot = np.where(rng.random((n, 3)) < 0.7, rng.random((n, 1)), rng.random((n, 3)))  # each uniform by itself
    return chance.astype(np.float32), lot < chance


def rows_of(p, wrong, known=None):
    return as_rows(images(len(p)), p, wrong, np.ones(p.shape, dtype=bool) if known is None else known)


def test_a_budget_is_of_decisions():
    p, wrong = drawn(2000, np.random.default_rng(0))
    decided = decide(Policy.of(budget=0.1, per_decision=True), rows_of(p, wrong))
    flags = flags_of_decisions(decided, p)
    assert 0.099 < flags.mean() <= 0.1
    assert flags.any(axis=1).mean() > 0.1
    assert str(decided).endswith("(budget 10 % of the decisions)")


def test_for_each_label_a_budget_is_of_each():
    p, wrong = drawn(2000, np.random.default_rng(1))
    decided = decide(Policy.of(budget=0.1, per_decision=True, per_class=True), rows_of(p, wrong))
    assert [line.classes for line in decided.lines] == [(0,), (1,), (2,)]
    assert np.allclose(flags_of_decisions(decided, p).mean(axis=0), 0.1, atol=0.001)


def test_decisions_of_one_image_count_once_for_all_and_all_images_for_each_label():
    p, wrong = drawn(1000, np.random.default_rng(2))
    rows = rows_of(p, wrong)
    (line,) = decide(Policy.of(max_error=0.1, per_decision=True), rows).lines
    assert line.support == 1000
    each = decide(Policy.of(max_error=0.1, per_decision=True, per_class=True), rows).lines
    assert [line.support for line in each] == [1000, 1000, 1000]


def test_decisions_that_nobody_knows_do_not_count_and_a_label_never_known_is_always_flagged():
    p, wrong = drawn(1000, np.random.default_rng(3))
    known = np.ones(p.shape, dtype=bool)
    known[:, 2] = False
    known[:300, 0] = False
    rows = rows_of(p, wrong, known)
    assert len(rows) == known.sum()
    decided = decide(Policy.of(budget=0.1, per_decision=True, per_class=True), rows)
    assert flags_of_decisions(decided, p)[:, 2].all()
    with pytest.raises(CalibrationError, match="not one decision"):
        rows_of(p, wrong, known & False)


def test_the_plan_counts_decisions():
    p, wrong = drawn(1000, np.random.default_rng(4))
    rows = rows_of(p, wrong)
    decided = decide(Policy.of(max_error=0.05, per_decision=True, per_class=True), rows)
    found = plan(decided, rows, CLASSES)
    assert found.images == 3000
    assert [part.classes for part in found.parts] == [("a",), ("b",), ("c",)]
    assert found.groups == 1000


def test_images_that_belong_together_stay_together():
    p, wrong = drawn(900, np.random.default_rng(5))
    of_films = replace(images(900), clusters=np.arange(900) // 3)
    rows = as_rows(of_films, p, wrong, np.ones(p.shape, dtype=bool))
    each = decide(Policy.of(max_error=0.2, per_decision=True, per_class=True), rows).lines
    assert [line.support for line in each] == [300, 300, 300]


def test_a_policy_on_decisions_comes_back_from_json():
    p, wrong = drawn(500, np.random.default_rng(6))
    decided = decide(Policy.of(min_recall=0.5, per_decision=True), rows_of(p, wrong))
    assert Decision.from_dict(decided.to_dict()) == decided


@pytest.mark.simulation
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("asked", [{"max_error": 0.08}, {"min_recall": 0.6}, {"min_precision": 0.3}])
def test_promises_are_broken_in_no_more_draws_than_allowed(asked, each):
    rng, draws = np.random.default_rng(7), 2000
    p, wrong = drawn(50_000, rng)
    policy = Policy.of(confidence=0.9, per_decision=True, per_class=each, **asked)
    broken = kept = 0
    for _ in range(draws):
        rows = rng.integers(len(p), size=500)
        decided = decide(policy, rows_of(p[rows], wrong[rows]))
        kept += any(line.certified for line in decided.lines)
        broken += _breaks(decided, p, wrong, asked)
    assert kept > draws / 10
    assert broken <= binom.ppf(0.999, draws, 0.1)


def _breaks(decided, p, wrong, asked):
    """Whether a certified line does not keep its promise on the whole population."""
    for line in decided.lines:
        if not line.certified:
            continue
        of = list(line.classes) or [0, 1, 2]
        flagged, bad = p[:, of] >= np.float32(line.threshold), wrong[:, of]
        if "max_error" in asked and bad[~flagged].mean() > asked["max_error"]:
            return True
        if "min_recall" in asked and flagged[bad].mean() < asked["min_recall"]:
            return True
        if "min_precision" in asked and bad[flagged].mean() < asked["min_precision"]:
            return True
    return False
