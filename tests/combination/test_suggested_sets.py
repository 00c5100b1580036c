"""How probable a likelier set of labels is, where decisions are wrong together."""

import numpy as np
import pytest

from uncertainty.combination.suggested_sets import SuggestedSets, turned
from uncertainty.errors import ArtifactError


def drawn(n, seed, together):
    """(n, 3) p_wrong, one for all of an image, and what was wrong: with one draw for all, or one for each."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 2, (n, 1)).repeat(3, axis=1).astype(np.float32)
    return p, (rng.random((n, 1 if together else 3)) < p).astype(np.int8)


def off(sets, p, wrong):
    """Mean probability of the suggested sets, less the share of them that are right."""
    told = turned(p).any(axis=1)
    right = (turned(p) == (wrong == 1)).all(axis=1)
    return sets.probability(p[told]).mean() - right[told].mean()


@pytest.mark.parametrize("together", [True, False])
def test_sets_are_as_often_right_as_is_said_of_images_that_nothing_was_learnt_from(together):
    sets = SuggestedSets.fit(*drawn(10_000, 0, together), np.ones(10_000))
    assert abs(off(sets, *drawn(10_000, 1, together))) < 0.03
    assert (off(SuggestedSets(), *drawn(10_000, 1, together)) < -0.3) == together


def test_a_set_is_never_surer_than_its_least_sure_answer():
    p, _ = drawn(500, 2, together=False)
    found = SuggestedSets(intercept=3.0, slope=0.5).probability(p)
    assert (found <= np.maximum(p, 1 - p).min(axis=1) + 1e-7).all()
    assert (found >= 0.5).any()


def test_without_a_suggestion_and_with_a_single_one_little_is_learnt():
    low = np.full((50, 3), 0.1, dtype=np.float32)
    assert SuggestedSets.fit(low, np.zeros((50, 3), dtype=np.int8), np.ones(50)) == SuggestedSets()
    low[0, 0] = 0.7
    one = SuggestedSets.fit(low, np.zeros((50, 3), dtype=np.int8), np.ones(50))
    assert -0.2 < one.intercept < 0 < one.slope <= 1.1


def test_unknown_answers_neither_spoil_a_set_nor_make_one():
    p = np.array([[0.9, 0.1], [0.9, 0.1]], dtype=np.float32)
    wrong = np.array([[1, -1], [-1, 1]], dtype=np.int8)
    # The second row's turned answer is unknown, so it teaches nothing; the first is right as far as is known.
    both = SuggestedSets.fit(p, wrong, np.ones(2))
    assert both == SuggestedSets.fit(p[:1], wrong[:1], np.ones(1))
    assert both.intercept > 0


def test_what_is_saved_comes_back_and_damage_is_told():
    sets = SuggestedSets(0.25, 0.5)
    assert SuggestedSets.from_dict(sets.to_dict()) == sets
    assert SuggestedSets.from_dict({}) == SuggestedSets()
    with pytest.raises(ArtifactError, match="odds of suggested sets are damaged"):
        SuggestedSets.from_dict({"slope": "steep"})
