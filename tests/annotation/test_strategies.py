"""Strategies: laws that all of them keep, then each against its definition computed without short cuts."""

import numpy as np
import pytest

from uncertainty.annotation import strategies
from uncertainty.annotation.batch_selection import STRATEGIES
from uncertainty.annotation.candidates import Candidates
from uncertainty.annotation.facility_location import facility_location
from uncertainty.errors import InputError
from uncertainty.neighbors import normalised


def pool(m=300, d=6, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    features = normalised(rng.normal(size=(m, d)))
    return rng.random(m), features, rng.dirichlet(np.ones(classes), m)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
class TestLaws:
    def test_each_position_once_and_the_same_again(self, strategy):
        p, x, probs = pool()
        found = strategy(Candidates(p, x, probs, seed=3), 40)
        assert found.dtype == np.int64
        assert len(set(found.tolist())) == 40
        assert set(found.tolist()) <= set(range(300))
        np.testing.assert_array_equal(found, strategy(Candidates(p, x, probs, seed=3), 40))

    def test_more_than_there_are_gives_all(self, strategy):
        p, x, probs = pool(20)
        assert sorted(strategy(Candidates(p, x, probs), 50).tolist()) == list(range(20))

    def test_identical_candidates_are_no_trouble(self, strategy):
        p, x, probs = np.full(30, 0.5), np.tile(normalised([[3.0, 4.0]]), (30, 1)), np.full((30, 2), 0.5)
        assert len(set(strategy(Candidates(p, x, probs), 12).tolist())) == 12

    def test_candidates_that_cannot_be_wrong_are_no_trouble(self, strategy):
        _, x, probs = pool(30)
        assert len(set(strategy(Candidates(np.zeros(30), x, np.eye(4)[probs.argmax(axis=1)]), 12).tolist())) == 12

    def test_half_floats_do(self, strategy):
        p, x, probs = pool(50)
        assert len(strategy(Candidates(p.astype(np.float32), x.astype(np.float16), probs.astype(np.float32)), 5)) == 5

    def test_none_wanted_is_refused(self, strategy):
        p, x, probs = pool(5)
        with pytest.raises(InputError, match="0 images were asked for"):
            strategy(Candidates(p, x, probs), 0)

    def test_arguments_stay_as_they_were(self, strategy):
        p, x, probs = pool(40)
        before = p.copy(), x.copy(), probs.copy()
        strategy(Candidates(p, x, probs, x[:3]), 7)
        for one, other in zip(before, (p, x, probs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_k_centre_is_the_greedy_core_set():
    p, x, _ = pool(80)
    labelled = normalised(np.random.default_rng(1).normal(size=(5, 6)))
    centres, expected = list(labelled), []
    for _ in range(10):
        distances = np.linalg.norm(x[:, None] - np.array(centres)[None], axis=2).min(axis=1)
        expected.append(int(distances.argmax()))
        centres.append(x[expected[-1]])
    assert strategies.k_centre(Candidates(p, x, labelled_features=labelled), 10).tolist() == expected


def test_facility_location_is_the_plain_greedy_one():
    p, x, _ = pool(120)
    similar, picked = (x @ x.T).astype(np.float64), []
    for _ in range(15):
        covered = np.maximum(similar[:, picked].max(axis=1), 0) if picked else np.zeros(120)
        gains = p @ np.maximum(similar - covered[:, None], 0)
        gains[picked] = -1
        picked.append(int(gains.argmax()))
    assert facility_location(Candidates(p, x), 15, beta=8).tolist() == picked


def test_facility_location_keeps_away_from_what_has_labels():
    x = normalised([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0]])
    assert facility_location(Candidates(np.array([0.9, 0.8, 0.1]), x, labelled_features=x[:1]), 1).tolist() == [2]


def test_badge_draws_in_proportion_to_squared_distances_of_outer_products():
    p, x, probs = pool(6, seed=2)
    residual = probs - np.eye(4)[probs.argmax(axis=1)]
    gradients = np.einsum("nk,nd->nkd", residual, x).reshape(6, -1)
    first = int(np.linalg.norm(gradients, axis=1).argmax())
    chances = np.square(gradients - gradients[first]).sum(axis=1)
    drawn = [strategies.badge(Candidates(p, x, probs, seed=s), 2).tolist() for s in range(4000)]
    assert {a for a, _ in drawn} == {first}
    shares = np.bincount([b for _, b in drawn], minlength=6) / 4000
    np.testing.assert_allclose(shares, chances / chances.sum(), atol=0.03)


def test_badge_wants_probabilities():
    with pytest.raises(InputError, match="badge reads probabilities"):
        strategies.badge(Candidates(*pool(5)[:2]), 2)


def test_what_compares_features_wants_them():
    with pytest.raises(InputError, match="features are needed and not known"):
        strategies.k_centre(Candidates(pool(5)[0]), 2)


def test_power_draws_the_first_in_proportion_to_p_wrong():
    p = np.array([0.1, 0.3, 0.6])
    first = [strategies.power(Candidates(p, seed=s), 1)[0] for s in range(3000)]
    np.testing.assert_allclose(np.bincount(first, minlength=3) / 3000, p, atol=0.03)


@pytest.mark.parametrize("strategy", [strategies.weighted_kmeans, strategies.top_of_clusters])
def test_clusters_spread_where_uncertainty_alone_does_not(strategy):
    """Ten tight groups of ten, one of them the most suspicious: each group gives one."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 10)
    x = normalised(np.eye(10)[groups] + 0.01 * rng.normal(size=(100, 10)))
    p = np.where(groups == 4, 0.9, 0.5) + 0.01 * rng.random(100)
    assert set(groups[strategies.uncertainty(Candidates(p, x), 10)]) == {4}
    assert sorted(groups[strategy(Candidates(p, x), 10, beta=10)]) == list(range(10))


def test_too_small_a_beta_is_refused():
    with pytest.raises(InputError, match=r"beta is 0\.5"):
        strategies.weighted_kmeans(Candidates(*pool(5)[:2]), 2, beta=0.5)
