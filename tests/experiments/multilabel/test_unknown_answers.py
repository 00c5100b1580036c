"""Answers made unknown in calibration and its copies, and the page about them."""

from dataclasses import replace

import numpy as np
from problems import made_problem

from experiments.multilabel.unknown_answers import SHARES, page, with_unknown
from experiments.shared.splits import Split


def test_copies_lack_the_answers_of_their_originals():
    rows = made_problem(400, 1, "multilabel")
    copies = replace(rows.take(np.arange(50)), ids=[f"{name}#blur" for name in rows.ids[:50]])
    found = with_unknown(replace(Split(*[rows] * 8), calibration_damaged=copies), 0.25, seed=2)
    unknown = found.calibration.labels < 0
    assert 0.2 < unknown.mean() < 0.3
    assert ((found.calibration_damaged.labels < 0) == unknown[:50]).all()
    assert (found.calibration.labels[~unknown] == rows.labels[~unknown]).all()
    assert (found.test_clean.labels >= 0).all()


def test_the_page_has_what_is_predicted_beside_what_is_wrong():
    one = {"wrong": [0.2, 0.3], "predicted": [0.2, 0.2], "wrong decisions": [0.1] * 2, "predicted decisions": [0.1] * 2}
    one |= {"e_aurc": [30.0, 32.0], "auroc of decisions": [0.9, 0.9], "whole": [300, 302], "images": [600, 600]}
    text = page({"tiles": {f"{share:g}": one for share in SHARES}})
    assert "| Tiled photographs | 25% | 301 | 25.0 % | 20.0 % | 10.0 % | 10.0 % | 31.0 | 0.900 |" in text
    assert "600 images" in " ".join(text.split())
    assert "2 splits" in text
