"""Signals and shares: each copy with its original, each condition with its declared weight."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.combination.evidence import Shares, evidence, signals
from uncertainty.combination.fit import _folds
from uncertainty.combination.folds import FOLDS, folds
from uncertainty.combination.mixture import NOTHING_SAID, SEVERAL_SAID
from uncertainty.errors import CalibrationError, InputError
from uncertainty.estimators import create

ESTIMATORS = [create(name).fit(known_good(50, 1)) for name in ("logit_gap", "image_quality", "margin")]
CALIBRATION = made_problem(60, 2)


def copies(n, seed=9):
    """n rows with the ids of as many calibration rows, in another order."""
    rows = np.random.default_rng(seed).permutation(60)[:n]
    return replace(made_problem(n, seed), ids=CALIBRATION.ids[rows], labels=CALIBRATION.labels[rows]), rows


def test_signals_of_each_row():
    found = signals(ESTIMATORS, CALIBRATION)
    assert found.scores.shape == (60, 3)
    assert found.scores[:, 0].tolist() == create("logit_gap").score(CALIBRATION).tolist()
    assert found.context.tolist() == CALIBRATION.quality[:, :6].tolist()
    assert found.predicted.tolist() == CALIBRATION.predictions.tolist()


def test_signals_where_there_is_less_to_say():
    assert signals(ESTIMATORS[:1], replace(CALIBRATION, quality=None)).context.shape == (60, 0)
    several = made_problem(5, 3, "multilabel")
    silent = replace(several, ids=list("abcde"), logits=-np.abs(several.logits))
    assert signals(ESTIMATORS[:1], several).predicted.tolist() == [SEVERAL_SAID] * 5
    assert signals(ESTIMATORS[:1], silent).predicted.tolist() == [NOTHING_SAID] * 5
    assert signals(ESTIMATORS, CALIBRATION.take([])).scores.shape == (0, 3)


def test_clean_rows_alone():
    found = evidence(ESTIMATORS, CALIBRATION, (None, None), Shares(0.2, 0.1))
    assert found.names == ("logit_gap", "image_quality", "margin")
    assert found.scales == tuple(one.scale for one in ESTIMATORS)
    assert found.start.tolist() == [False, False, False]
    assert found.classes == 4
    assert found.wrong.tolist() == CALIBRATION.wrong.tolist()
    assert found.weights.tolist() == [1.0] * 60
    assert found.condition.tolist() == [0] * 60
    assert found.groups.tolist() == list(range(60))


@pytest.mark.parametrize("shares", [Shares(0.1, 0), Shares(0.01, 0.5), Shares(0.5, 0.4), Shares(0.25, 0.25)])
@pytest.mark.parametrize("n", [60, 25, 1])
def test_each_condition_weighs_its_share_and_each_copy_stays_with_its_original(shares, n):
    (damaged, first), (foreign, second) = copies(n), copies(min(2 * n, 60), seed=10)
    found = evidence(ESTIMATORS, CALIBRATION, (damaged, foreign), shares)
    total = found.weights.sum()
    assert found.weights[found.rows("clean")].tolist() == [1.0] * 60
    assert found.weights[found.rows("damaged")].sum() / total == pytest.approx(shares.damaged)
    assert found.weights[found.rows("foreign")].sum() / total == pytest.approx(shares.foreign)
    assert found.groups[found.rows("damaged")].tolist() == first.tolist()
    assert found.groups[found.rows("foreign")].tolist() == (second.tolist() if shares.foreign else [])
    assert found.wrong[found.rows("damaged")].tolist() == damaged.wrong.tolist()
    assert len(found.signals.scores) == len(found.weights) == len(found.wrong) == len(found.groups)


def test_what_learns_from_calibration_never_scores_the_rows_it_learnt_from():
    calibration = made_problem(400, 2)
    damaged, foreign = (replace(made_problem(400, seed), ids=calibration.ids) for seed in (8, 9))
    estimators = [create("delta_knn").fit(calibration), create("margin").fit(calibration)]
    found = evidence(estimators, calibration, (damaged, foreign), Shares(0.2, 0.1), seed=3)
    fold = folds(calibration.wrong, seed=3)
    assert (_folds(found, seed=3) == np.tile(fold, 3)).all()
    for k in range(FOLDS):
        own = np.tile(fold, 3) == k
        without = create("delta_knn").fit(calibration.take(fold != k))
        scores = [without.score(part.take(fold == k)) for part in (calibration, damaged, foreign)]
        np.testing.assert_array_equal(found.signals.scores[own, 0], np.concatenate(scores))
    np.testing.assert_array_equal(found.signals.scores[:400, 1], estimators[1].score(calibration))


def test_copies_in_any_order_and_number_are_scored_without_their_original():
    calibration = made_problem(400, 2)
    rows = np.random.default_rng(0).permutation(400)[:150]
    every = replace(made_problem(400, 8), ids=calibration.ids)
    estimators = [create("delta_knn").fit(calibration)]
    whole, some = (
        evidence(estimators, calibration, (part, None), Shares(0.2, 0)) for part in (every, every.take(rows))
    )
    np.testing.assert_allclose(some.signals.scores[400:], whole.signals.scores[400 + rows], atol=1e-9)


def test_the_fitted_estimator_stays_that_of_all_rows():
    calibration = made_problem(400, 2)
    one = create("rel_u").fit(calibration)
    before = {name: np.array(value) for name, value in one.learnt().items()}
    evidence([one], calibration, (None, None), Shares(0, 0))
    assert all((np.array(value) == before[name]).all() for name, value in one.learnt().items())


def test_copies_of_no_share_and_no_copies_are_left_out():
    damaged, _ = copies(60)
    for part, share in ((damaged, 0.0), (damaged.take([]), 0.3), (None, 0.3)):
        found = evidence(ESTIMATORS, CALIBRATION, (part, None), Shares(share, 0.0))
        assert found.condition.tolist() == [0] * 60


def test_copies_without_an_original_are_refused():
    with pytest.raises(
        CalibrationError, match=r"10 damaged rows, e\.g\. '9-00000', have the id of no calibration row"
    ) as caught:
        evidence(ESTIMATORS, CALIBRATION, (made_problem(10, 9), None), Shares(0.1, 0))
    assert "\n" not in str(caught.value)
    with pytest.raises(CalibrationError, match="10 foreign rows"):
        evidence(ESTIMATORS, CALIBRATION, (None, made_problem(10, 9)), Shares(0.1, 0.1))


def test_copies_with_quality_and_calibration_without_are_refused():
    bare = replace(CALIBRATION, quality=None)
    with pytest.raises(CalibrationError, match="must both have the column 'quality'"):
        evidence(ESTIMATORS[:1], bare, (CALIBRATION, None), Shares(0.1, 0))


def test_calibration_without_rows_is_refused():
    with pytest.raises(CalibrationError, match="calibration has no rows"):
        evidence(ESTIMATORS, CALIBRATION.take([]), (None, None), Shares(0, 0))


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(InputError, match=f"expect_damage is {share}; it must be a share"):
        Shares(share, 0.0)
    with pytest.raises(InputError, match=f"expect_unknown is {share}; it must be a share"):
        Shares(0.0, share)


def test_shares_leave_something_clean():
    assert Shares(0.3, 0.2).clean == pytest.approx(0.5)
    with pytest.raises(InputError, match=r"expect_damage 0\.6 and expect_unknown 0\.4 leave no clean images"):
        Shares(0.6, 0.4)
