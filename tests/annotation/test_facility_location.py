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
