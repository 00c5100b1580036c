"""Pictures of several things: every thing a label, strangers none, the same from the same seed."""

from dataclasses import replace

import numpy as np

from experiments.multilabel.pictures import left_over, pictures
from experiments.shared.image_sets import Images
from uncertainty.demo.canvases import Canvas

THINGS = Images(
    [np.full((4, 4, 3), 10 * (k + 1), dtype=np.uint8) for k in range(6)],
    np.array([0, 0, 1, 1, 2, 2]),
    np.arange(6).astype(str),
    ("a", "b", "c"),
)
CANVAS = Canvas(cell=5, grey=0)


def seen(picture):
    return set(np.unique(picture).tolist()) - {0}


def test_every_thing_in_a_picture_is_a_label_and_nothing_else():
    made = pictures(THINGS, 40, CANVAS, 0, "p")
    assert made.pixels[0].shape == (10, 10, 3)
    for picture, labels in zip(made.pixels, made.labels, strict=True):
        assert {THINGS.labels[value // 10 - 1] for value in seen(picture)} == set(np.flatnonzero(labels).tolist())
    again = pictures(THINGS, 40, CANVAS, 0, "p")
    assert all((a == b).all() for a, b in zip(made.pixels, again.pixels, strict=True))
    assert (pictures(THINGS, 40, CANVAS, 1, "p").labels != made.labels).any()


def test_a_stranger_is_in_every_picture_and_carries_no_label():
    strangers = [np.full((4, 4, 3), 255, dtype=np.uint8)]
    made = pictures(THINGS, 40, CANVAS, 0, "p", strangers)
    assert all(255 in seen(picture) for picture in made.pixels)
    assert (made.labels.sum(axis=1) == 0).any()
    for picture, labels in zip(made.pixels, made.labels, strict=True):
        own = {THINGS.labels[value // 10 - 1] for value in seen(picture) - {255}}
        assert own == set(np.flatnonzero(labels).tolist())


def test_what_is_left_over_is_in_no_picture():
    things = replace(THINGS, pixels=[np.full((1, 1, 3), k + 1, dtype=np.uint8) for k in range(90)])
    things = replace(things, labels=np.arange(90) % 3, ids=np.arange(90).astype(str))
    used = set().union(*(seen(picture) for picture in pictures(things, 20, CANVAS, 1, "p").pixels))
    assert {row + 1 for row in left_over(things, 20, 1).tolist()} == set(range(1, 91)) - used != set()
