"""Heat maps in the few bytes that the page has of them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import tiny_classifier
from uncertainty.report.heat import FINE, GRID, coarse, fine, why_not_fine

pytest.importorskip("captum", reason="captum is absent: pip install '.[explain]'")


@pytest.fixture(scope="module")
def classifier():
    return tiny_classifier()


def inputs_of(classifier, count=2):
    size = (classifier.preprocess.size,) * 2
    return np.random.default_rng(0).standard_normal((count, 3, *size)).astype(np.float32)


def test_grad_cam_is_a_grid_of_bytes_that_reaches_its_maximum(classifier):
    maps = [np.frombuffer(base64.b64decode(one), np.uint8) for one in coarse(classifier, inputs_of(classifier), [0, 1])]
    assert [one.shape for one in maps] == [(GRID * GRID,)] * 2
    assert all(one.max() > 200 for one in maps if one.any())


def test_guided_grad_cam_is_a_grey_picture(classifier):
    for data in fine(classifier, inputs_of(classifier), [0, 1]):
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert max(pixels.shape[:2]) <= FINE
        assert np.ptp(pixels, axis=2).max() <= 4
    assert why_not_fine(classifier, inputs_of(classifier)) is None
