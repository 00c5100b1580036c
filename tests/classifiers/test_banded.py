"""Networks of other channels than red, green and blue: which numbers they get, and how many."""

import numpy as np
import pytest
from torch import nn

from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.classifiers.resizers import FILTERS, resize, resize_bands
from uncertainty.errors import ImageError, ModelError
from uncertainty.images.decoding import DecodedImage

RNG = np.random.default_rng(0)
TILE = RNG.integers(0, 4096, (12, 16, 5)).astype(np.uint16)
PIXELS = RNG.integers(0, 256, (12, 16, 3)).astype(np.uint8)


def network(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_three_bands_of_bytes_are_what_colours_are():
    for settings in ({}, {"resize": "border"}, {"range": 255, "mean": (1, 2, 3), "std": 2}, {"resizer": "torch"}):
        colours, bands = (Preprocess(size=8, **settings, **more) for more in ({}, {"channels": 3}))
        np.testing.assert_allclose(bands(PIXELS), colours(PIXELS), atol=1e-5)


def test_values_are_as_stored_or_shares_of_white():
    stored = Preprocess(size=(12, 16), channels=5, range=10000, mean=(1, 2, 3, 4, 5), std=2)
    expected = (TILE.transpose(2, 0, 1) - np.arange(1, 6)[:, None, None]) / 2
    np.testing.assert_allclose(stored(TILE), expected, rtol=1e-5, atol=1e-3)
    share = Preprocess(size=(12, 16), channels=5, bits=12)
    np.testing.assert_allclose(share(TILE), TILE.transpose(2, 0, 1) / 4095, atol=1e-6)
    floats = Preprocess(size=(12, 16), channels=5)
    np.testing.assert_allclose(floats(TILE / 4095), TILE.transpose(2, 0, 1) / 4095, atol=1e-6)


@pytest.mark.parametrize(("resizer", "filters"), FILTERS.items())
def test_each_band_is_resized_as_a_picture_is(resizer, filters):
    if resizer == "opencv":
        pytest.importorskip("cv2")
    for name in set(filters) - {"lanczos"}:
        apart = resize(PIXELS, (7, 9), resizer, name, antialias=resizer != "keras")
        several = np.concatenate([PIXELS, PIXELS[:, :, :2]], axis=2)
        together = resize_bands(several, (7, 9), resizer, name, antialias=resizer != "keras")
        np.testing.assert_allclose(together[:, :, :3], apart, atol=1e-4)
        floats = resize_bands(several.astype(np.float32), (7, 9), resizer, name, antialias=resizer != "keras")
        np.testing.assert_allclose(floats.clip(0, 255), together.clip(0, 255), atol=1.01)


def test_the_border_is_the_mean():
    one = Preprocess(size=16, channels=5, resize="border", range=10000, mean=1000, std=10, interpolation="bilinear")
    assert (one(TILE)[:, 0] == 0).all()


def test_how_many_channels_a_network_takes_is_found():
    one = Classifier.from_module(network(5), preprocess=Preprocess(size=8, mean=0.25, std=0.5))
    assert (one.preprocess.channels, one.preprocess.mean) == (5, (0.25,) * 5)
    assert one.run(TILE, passes=0).ids
    assert Classifier.from_module(network(3)).preprocess.channels == "rgb"
    with pytest.raises(ModelError, match="fails on an input of shape"):
        Classifier.from_module(network(1))
    with pytest.raises(ModelError, match="takes ordinary pictures; say channels=3"):
        Classifier.from_module(network(3), preprocess=Preprocess(show=(3, 2, 1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"channels": 4, "mean": (1, 2, 3)}, "mean needs 4 numbers"),
        ({"channels": 4, "bands": (1, 2)}, "give the 4 of the network"),
        ({"channels": 4, "grayscale": True}, "grayscale is of ordinary pictures"),
        ({"channels": -1}, "how many bands the network takes"),
        ({"channels": 4, "show": (1, 2)}, "three bands that are shown"),
        ({"axes": "hcw"}, "say hwc"),
    ],
)
def test_settings_that_can_not_be(settings, said):
    with pytest.raises(ModelError, match=said):
        Preprocess(**settings)


def test_settings_are_part_of_the_fingerprint_only_where_they_are_said():
    plain = Preprocess(size=8)
    assert {"channels", "axes", "show"} & plain.to_dict().keys() == set()
    several = Preprocess(size=8, bands=(2, 3, 4, 8), axes="chw", show=(4, 3, 2), range=10000)
    assert Preprocess.from_dict(several.to_dict()) == several
    assert several.least is None


def test_a_second_opinion_sees_the_shown_bands():
    one = Classifier.from_module(network(5), preprocess=Preprocess(size=8, channels=5, show=(4, 3, 2)))
    seen = one.with_embedder(Classifier.from_module(network(3), preprocess=Preprocess(size=8)))
    assert seen.run(TILE, passes=0).embedding.shape == (1, 4)
    with pytest.raises(ModelError, match="a second opinion takes ordinary pictures"):
        one.with_embedder(Classifier.from_module(network(4), preprocess=Preprocess(size=8)))
    with pytest.raises(ImageError, match="was read as a picture"):
        one.preprocess.of(DecodedImage(PIXELS, 16, 12))
