"""Weights of rows that were labelled with unequal chances: unbiased over many draws, where pooling is not."""

import numpy as np
import pytest

from uncertainty.errors import InputError
from uncertainty.recalibration.sampling_weights import chances, chosen_by_score, estimate, off, row_weights, upper_part

TIMES, OLD, BATCH, LINE = 1000, 800, 1500, 0.3


def population(n, rng, worse=0.0):
    """p_wrong, and errors that are more frequent than it says by `worse` where it is low."""
    p = rng.beta(0.6, 4, n)
    return p, rng.random(n) < np.clip(p + worse * (1 - p), 0, 1)


def chance_by_design(design, p):
    flagged = p >= LINE
    return {
        "all": np.ones(len(p)),
        "random": np.full(len(p), 0.2),
        "flagged and an audit": np.where(flagged, 1.0, 0.1),
        "by p_wrong": np.clip(0.1 + 2 * p, 0, 1),
        "flagged only": np.where(flagged, 0.5, 0.0),
        "unflagged only": np.where(flagged, 0.0, 0.3),
    }[design]


def drawn(design, known, rng, worse=0.0):
    """Error rate and risk of the unflagged: by weights, by pooling, and by the new rows alone."""
    (p_old, wrong_old), (p, wrong) = population(OLD, rng), population(BATCH, rng, worse)
    design_chance = chance_by_design(design, p)
    labelled = rng.random(BATCH) < design_chance
    chance = design_chance[labelled] if known else chances(p >= LINE, labelled)
    w = row_weights(np.ones(OLD), p_old >= LINE, p >= LINE, labelled, chance)
    every, hit = np.append(p_old, p[labelled]), np.append(wrong_old, wrong[labelled])
    weights, low = np.append(w.old, w.new), every < LINE
    seen, low_new = wrong[labelled], p[labelled] < LINE
    alone = (
        [estimate(seen, w.new).value, estimate(seen[low_new], w.new[low_new]).value]
        if w.unseen is None
        else [np.nan] * 2
    )
    return [
        [estimate(hit, weights).value, estimate(hit[low], weights[low]).value],
        [hit.mean(), hit[low].mean()],
        alone,
    ]


def truth(worse=0.0):
    p, wrong = population(4_000_000, np.random.default_rng(99), worse)
    return np.array([wrong.mean(), wrong[p < LINE].mean()])


def simulated(design, known, worse=0.0):
    rng = np.random.default_rng(1)
    found = np.array([drawn(design, known, rng, worse) for _ in range(TIMES)])
    return found.mean(0), found.std(0) / np.sqrt(TIMES)


KNOWN = ["all", "random", "flagged and an audit", "by p_wrong", "flagged only", "unflagged only"]
GUESSED = ["all", "random", "flagged and an audit", "flagged only", "unflagged only"]


@pytest.mark.parametrize(("design", "known"), [*((d, True) for d in KNOWN), *((d, False) for d in GUESSED)])
def test_weighted_rows_are_unbiased(design, known):
    mean, error = simulated(design, known)
    assert (np.abs(mean[0] - truth()) <= 3.5 * error[0]).all()


@pytest.mark.parametrize("design", ["flagged and an audit", "by p_wrong", "flagged only"])
def test_pooled_rows_are_biased(design):
    mean, error = simulated(design, known=True)
    assert mean[1, 0] - truth()[0] > 10 * error[1, 0]


@pytest.mark.parametrize("design", ["all", "random", "flagged and an audit", "by p_wrong"])
def test_new_rows_alone_are_unbiased_for_a_batch_that_changed(design):
    mean, error = simulated(design, known=True, worse=0.1)
    assert (np.abs(mean[2] - truth(0.1)) <= 3.5 * error[2]).all()


def test_new_rows_count_what_they_are_worth():
    every = np.ones(4, dtype=bool)
    even = row_weights(np.ones(3), np.ones(3, dtype=bool), every, every, np.full(4, 0.2))
    assert (even.new.tolist(), even.even, even.unseen) == ([1.0] * 4, True, None)
    uneven = row_weights(np.ones(3), np.ones(3, dtype=bool), every, every, np.array([1, 1, 1, 0.01]))
    assert uneven.new.sum() == pytest.approx(103**2 / 10003)
    assert not uneven.even
    assert (uneven.new[3] / uneven.new[:3] == 100).all()


def test_strata_have_their_share_in_the_batch():
    rng = np.random.default_rng(0)
    old_upper, upper = rng.random(400) < 0.2, rng.random(1000) < 0.35
    labelled = upper & (rng.random(1000) < 0.5)
    w = row_weights(np.ones(400), old_upper, upper, labelled, chances(upper, labelled))
    assert w.unseen is False
    assert (w.old[~old_upper] == 1).all()
    flagged = w.old[old_upper].sum() + w.new.sum()
    assert flagged / (w.old.sum() + w.new.sum()) == pytest.approx(upper.mean())


def test_nothing_can_stand_for_a_stratum_without_rows():
    yes = np.ones(3, dtype=bool)
    upper = np.array([True, False, False])
    with pytest.raises(InputError, match="no unflagged image has a label, and calibration has none"):
        row_weights(np.ones(3), yes, upper, upper, np.ones(1))


def test_choice_by_score_is_noticed_and_chance_is_not():
    rng = np.random.default_rng(2)
    p = rng.random(2000)
    upper = p > 0.8
    for seed in range(100):
        assert chosen_by_score(p, upper, np.random.default_rng([seed, 1]).random(2000) < 0.2) is None
    assert chosen_by_score(p, upper, upper & (p > 0.9)) is True
    assert chosen_by_score(p, upper, ~upper & (p < 0.4)) is False
    assert chosen_by_score(np.full(2000, 0.5), upper, upper & (p > 0.9)) is None
    assert chosen_by_score(p, upper, upper) is None


def test_the_upper_part_of_a_ranking():
    p = np.array([0.1, 0.4, 0.4, 0.9])
    assert upper_part(p, p >= 0.4) == 0.4
    assert upper_part(p, np.array([False, True, False, True])) is None
    assert upper_part(p, p >= 0.1) is None


def test_chances_that_contradict_the_counts_are_noticed():
    rng = np.random.default_rng(3)
    upper = rng.random(3000) < 0.2
    chance = np.where(upper, 0.8, 0.1)
    labelled = rng.random(3000) < chance
    assert off(upper, labelled, chance[labelled]) is None
    stand, there = off(upper, labelled, np.ones(int(labelled.sum())))
    assert (stand, there) == (labelled.sum(), 3000)
    flagged_only = labelled & upper
    assert off(upper, flagged_only, chance[flagged_only]) is None
