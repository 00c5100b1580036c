"""The picture of an input: colours as the network has them, and the numbers themselves."""

import numpy as np
import pytest

from uncertainty import Preprocess
from uncertainty.classifiers.shown_input import shown_input, undone

RED = np.zeros((20, 40, 3), dtype=np.uint8)
RED[..., 0] = 250


@pytest.mark.parametrize(
    ("settings", "colour"),
    [({}, (250, 0, 0)), ({"channels": "bgr"}, (0, 0, 250)), ({"range": 255, "mean": 100, "std": 2}, (250, 0, 0))],
)
def test_mean_and_std_are_undone_and_channels_stay(settings, colour):
    preprocess = Preprocess(size=10, **settings)
    inputs = preprocess(RED)
    np.testing.assert_allclose(undone(inputs, preprocess)[:, 5, 5], colour, atol=1e-3)
    picture = np.asarray(shown_input(RED, inputs, preprocess))
    middle = picture[picture.shape[0] // 2]
    assert (middle == (250, 0, 0)).all(axis=1).any()
    assert (middle == colour).all(axis=1).sum() >= 250


def test_numbers_that_are_far_too_large_are_seen():
    preprocess = Preprocess(size=10, mean=0.0, std=0.01)
    picture = np.asarray(shown_input(RED, preprocess(RED), preprocess))
    assert tuple(picture[picture.shape[0] // 2, -40]) == (255, 128, 128)


def test_grey_inputs_are_grey():
    preprocess = Preprocess(size=(8, 4), grayscale=True, mean=0.5, std=0.5)
    picture = np.asarray(shown_input(RED, preprocess(RED), preprocess))
    shade = 75  # of red
    assert (picture == (shade,) * 3).all(axis=2).any()
