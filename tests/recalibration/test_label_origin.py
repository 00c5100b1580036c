"""Picked labels are told from drawn ones."""

import numpy as np

from uncertainty.recalibration.label_origin import label_origin

N = 400
P_WRONG = np.random.default_rng(0).beta(0.5, 3, N)
WRONG = np.random.default_rng(1).random(N) < P_WRONG


def test_all_labels_need_no_word():
    assert label_origin(P_WRONG, np.ones(N, dtype=bool), WRONG).words() == ""


def test_of_no_labels_nothing_is_said_of_how_they_were_drawn():
    assert label_origin(P_WRONG, np.zeros(N, dtype=bool), WRONG).words() == "0 of 400 images have labels"


def test_labels_of_the_most_suspicious_images_look_picked_and_a_draw_does_not():
    picked = P_WRONG >= np.sort(P_WRONG)[-40]
    assert "40 of 400 images have labels, and they look picked" in label_origin(P_WRONG, picked, WRONG).words()
    drawn = [np.random.default_rng(seed).permutation(N) < 40 for seed in range(20)]
    assert all("look drawn by chance" in label_origin(P_WRONG, one, WRONG).words() for one in drawn)


def test_where_chances_are_said_both_kinds_are_counted():
    chance = np.where(P_WRONG > 0.5, 1.0, 0.1)
    labelled = (P_WRONG > 0.5) | (np.arange(N) % 10 == 0)
    found = label_origin(P_WRONG, labelled, WRONG, chance)
    by_chance = labelled & (chance < 1)
    assert (found.picked, found.drawn) == ((P_WRONG > 0.5).sum(), by_chance.sum())
    assert (found.right_picked, found.right_drawn) == (
        (~WRONG & (P_WRONG > 0.5)).sum(), (~WRONG & by_chance).sum()
    )  # fmt: skip
    assert found.labelled == found.picked + found.drawn
