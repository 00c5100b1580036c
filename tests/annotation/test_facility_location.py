"""The covering strategy is the greedy definition without short cuts."""

import numpy as np
import pytest

from annotation.test_strategies import pool
from uncertainty.annotation import facility_location as module
from uncertainty.annotation.candidates import Candidates
from uncertainty.annotation.facility_location import covering
from uncertainty.neighbors import normalised


def plain(p, x, n, known):
    """Greedy, every gain anew, over all candidates."""
    likeness = np.exp(-2 * np.square(x[:, None] - x[None]).sum(axis=2))
    covered = np.exp(-2 * np.square(x[:, None] - known[None]).sum(axis=2)).max(axis=1, initial=0)
    picked = []
    for _ in range(n):
        gains = p @ np.maximum(likeness - covered[:, None], 0)
        gains[picked] = -1
        picked.append(int(gains.argmax()))
        covered = np.maximum(covered, likeness[:, picked[-1]])
    return picked


@pytest.mark.parametrize("labels", [0, 5])
def test_it_is_the_plain_greedy_one(labels, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 50)  # blocks must not show
    p, x, _ = pool(120)
    known = normalised(np.random.default_rng(1).normal(size=(labels, 6)))
    assert covering(Candidates(p, x, labelled_features=known), 15).tolist() == plain(p, x, 15, known)


@pytest.mark.parametrize(("labels", "beta"), [(0, 20), (5, 20), (30, 10), (100, 4)])
def test_the_more_labels_the_fewer_candidates(labels, beta):
    """300 candidates: all lie alike, but for p_wrong, so the batch is spread over as many as are looked at."""
    p, x, _ = pool(300)
    known = normalised(np.random.default_rng(1).normal(size=(labels, 6)))
    considered = np.argsort(-p)[: beta * 3]
    chosen = covering(Candidates(p, x, labelled_features=known), 3)
    assert set(chosen.tolist()) <= set(considered.tolist())
    assert chosen.tolist() == considered[plain(p[considered], x[considered], 3, known)].tolist()


def test_a_copy_of_what_has_a_label_comes_last():
    x = normalised([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert covering(Candidates(np.array([0.9, 0.3, 0.4]), x, labelled_features=x[:1]), 3).tolist()[-1] == 0


@pytest.mark.parametrize("labels", [0, 40])
def test_among_many_only_near_ones_are_looked_at_and_stand_as_well(labels, monkeypatch):
    """What is chosen stands for all rows as well as the plain greedy choice does, within a hundredth."""
    p, x, _ = pool(1500)
    known = normalised(np.random.default_rng(1).normal(size=(labels, 6)))
    candidates = Candidates(p, x, labelled_features=known)
    plainly = covering(candidates, 150)
    monkeypatch.setattr(module, "_EXACT", 1000)
    sparsely = covering(candidates, 150)
    assert len(set(sparsely.tolist())) == 150
    assert not np.array_equal(sparsely, plainly)
    worth, least = (_stands(p, x, np.concatenate([x[chosen], known])) for chosen in (sparsely, plainly))
    assert worth > 0.99 * least


def _stands(p, x, chosen):
    return p @ np.exp(-2 * (2 - 2 * x @ chosen.T)).max(axis=1)


def test_twins_by_the_thousand_leave_each_pick_another_row(monkeypatch):
    monkeypatch.setattr(module, "_EXACT", 100)
    x = np.repeat(normalised(np.random.default_rng(0).normal(size=(3, 6))), 100, axis=0)
    chosen = covering(Candidates(np.full(300, 0.5), x), 30)
    assert len(set(chosen.tolist())) == 30
    assert {0, 1, 2} == set((chosen[:3] // 100).tolist())
