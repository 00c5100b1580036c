"""Batches of other shares of labels, and the page about them."""

import numpy as np
from problems import made_problem

from experiments.multilabel.adapted_labels import STREAMS, page, streams
from experiments.shared.splits import Split


def test_two_labels_are_on_fewer_images_and_on_more():
    rows = made_problem(1200, 1, "multilabel")
    batches, two = streams(Split(*[rows] * 8), seed=3)
    assert set(batches) == set(STREAMS)
    usual, fewer, more = (batches[name].labels.mean(axis=0) for name in ("clean", "fewer", "more"))
    assert (fewer[two] < 0.6 * usual[two]).all()
    assert (more[two] > 1.2 * usual[two]).all()
    others = np.setdiff1d(np.arange(4), two)
    assert (fewer[others] > usual[others]).all()
    again, _ = streams(Split(*[rows] * 8), seed=3)
    assert again["fewer"].ids.tolist() == batches["fewer"].ids.tolist()


def test_the_page_has_what_is_predicted_and_how_far_off_that_is():
    way = {"images": [0.25, 0.35], "decisions": [0.1, 0.1], "of a class": [0.02, 0.04], "of the two": [0.03, 0.03]}
    one = {"images": [600, 600], "wrong": [0.3, 0.3], "wrong decisions": [0.1, 0.2], "to": ["shares", "labels"]}
    text = page({"tiles": dict.fromkeys(STREAMS, one | {"usual": way, "adapted": way})})
    line = "| Tiled photographs | in distribution | 30.0 % | 30.0 % | 30.0 % | 5.00 | 5.00 | labels 1, shares 1 |"
    assert line in text
    assert "| 15.0 % | 10.0 % | 10.0 % | 5.00 | 5.00 | 3.00 | 3.00 | 3.00 | 3.00 |" in text
    assert "2 splits" in text
