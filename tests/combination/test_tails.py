"""Far from everything known: odds by distance alone, where there is no image of no known class to learn from."""

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.combination.mixture import Linear, Mixture, from_dict
from uncertainty.combination.tails import KAPPA, Tails


@pytest.fixture(scope="module")
def by_distance():
    return Screener.fit_outputs(known_good(400, 1), made_problem(800, 2))


def test_the_density_ratio_of_clean_rows_is_one_at_most_on_average():
    rng = np.random.default_rng(0)
    known, new = rng.exponential(size=(500, 1)), rng.exponential(size=(200_000, 1))
    mean = np.exp(Tails.of(known, [0], np.ones(500), odds=1.0)(new)).mean()
    assert 0.3 < mean < 1


def test_p_values_are_those_of_ranks_where_a_distance_was_kept():
    known = np.arange(1.0, 100.0)[:, None]
    tails = Tails.of(known, [0], np.ones(99), odds=1.0)
    expected = [(1 + (known >= d).sum()) / 100 for d in tails.distances[0]]
    assert tails.p_values[0] == pytest.approx(expected)
    assert len(tails.distances[0]) < 20
    assert tails.beyond == 0.01


def test_a_row_that_counts_twice_is_two_rows():
    rng = np.random.default_rng(1)
    known, new = rng.normal(size=(60, 1)), rng.normal(size=(50, 1))
    twice = Tails.of(np.repeat(known, 2, axis=0), [0], np.ones(120), odds=0.1)
    np.testing.assert_allclose(Tails.of(known, [0], np.full(60, 2.0), odds=0.1)(new), twice(new))


def test_p_wrong_is_raised_by_the_odds_and_no_more(by_distance):
    test = made_problem(500, 3)
    tails, declared = by_distance.combiner.gates["foreign"], by_distance.calibrated_on["expected_unknown"]
    assert isinstance(tails, Tails)
    assert tails.intercept == pytest.approx(np.log(declared / (1 - declared)))
    without = replace(by_distance, combiner=replace(by_distance.combiner, gates={}))
    distance = next(e for e in by_distance.estimators if e.name == "nn_distance").score(test)
    place = by_distance.combiner.names.index("nn_distance")
    scores = np.zeros((500, len(by_distance.combiner.names)))
    scores[:, place] = distance
    odds, p = np.exp(tails(scores)), without.p_wrong(test).astype(np.float64)
    np.testing.assert_allclose(by_distance.p_wrong(test), 1 - (1 - p) / (1 + odds), rtol=1e-5)
    assert KAPPA * declared * len(p) > odds.max() > odds.min() > 0


@pytest.mark.parametrize(
    ("reference", "options"),
    [(known_good(400, 1), {"expect_unknown": 0.0}), (known_good(12, 1), {})],
    ids=["none expected", "few known-good rows"],
)
def test_nothing_is_told_by_distance(reference, options):
    screener = Screener.fit_outputs(reference, made_problem(200, 2), **options)
    assert screener.combiner.gates == {}
    assert screener.calibrated_on["expected_unknown"] == 0


def test_of_several_labels_no_distance_says_that_all_are_wrong():
    screener = Screener.fit_outputs(known_good(200, 1, "multilabel"), made_problem(200, 2, "multilabel"))
    assert screener.combiner.gates == {}


def test_foreign_copies_speak_where_there_are_any():
    calibration = made_problem(300, 2)
    foreign = replace(made_problem(300, 5), ids=calibration.ids, labels=np.full(300, -1))
    gate = Screener.fit_outputs(known_good(200, 1), calibration, foreign=foreign).combiner.gates["foreign"]
    assert isinstance(gate, Linear)


def test_the_same_bits_after_json_and_damage_is_found(by_distance):
    combiner, test = by_distance.combiner, made_problem(100, 3)
    saved = json.loads(json.dumps(combiner.to_dict()))
    again = replace(by_distance, combiner=from_dict(saved))
    assert isinstance(again.combiner, Mixture)
    np.testing.assert_array_equal(again.p_wrong(test), by_distance.p_wrong(test))
