from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uncertainty.classifiers.image_loader import load
from uncertainty.classifiers.preprocess import Preprocess, least_of
from uncertainty.errors import ModelError
from uncertainty.images.decoding import Least, Reading
from uncertainty.images.sources import ImageItem

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def normalised(image: Image.Image, mean: Any, std: Any) -> np.ndarray:
    return ((np.asarray(image, dtype=np.float64) / 255 - mean) / std).transpose(2, 0, 1)


def as_timm_does(pixels: np.ndarray, settings: Preprocess) -> np.ndarray:
    """Resize the short side to floor(size / crop_pct), the long side cut to whole pixels, then cut out the centre."""
    image, size = Image.fromarray(pixels), settings.size
    short, (w, h) = math.floor(size / settings.crop_pct), image.size
    new = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    image = image.resize(new, Image.Resampling[settings.interpolation.upper()])
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return normalised(image.crop((left, top, left + size, top + size)), settings.mean, settings.std)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("shape", [(40, 60), (61, 37), (32, 32), (1, 1), (3, 1), (1, 3), (9, 70), (300, 200)])
def test_short_side_equals_pillow_and_numpy(interpolation: Any, shape: tuple[int, int]) -> None:
    settings = Preprocess(size=32, crop_pct=0.875, interpolation=interpolation)
    found = settings(noise(*shape))
    assert found.shape == (3, 32, 32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, as_timm_does(noise(*shape), settings), atol=1e-6)


@pytest.mark.parametrize("interpolation", FILTERS)
def test_exact_squeezes_the_whole_image(interpolation: Any) -> None:
    settings = Preprocess(size=16, resize="exact", interpolation=interpolation, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    squeezed = Image.fromarray(noise(20, 50)).resize((16, 16), Image.Resampling[interpolation.upper()])
    np.testing.assert_allclose(settings(noise(20, 50)), normalised(squeezed, settings.mean, settings.std), atol=1e-6)


def test_right_size_is_left_as_it_is() -> None:
    pixels = noise(8, 8)
    found = Preprocess(size=8, mean=(0, 0, 0), std=(1, 1, 1))(pixels)
    assert (np.round(found * 255).astype(np.uint8).transpose(1, 2, 0) == pixels).all()


def test_long_side_is_cut_to_whole_pixels_as_timm_does() -> None:
    # 9 * 7 / 5 is 12.6: 12 pixels, where rounding would give 13.
    settings = Preprocess(size=7, interpolation="nearest")
    np.testing.assert_allclose(settings(noise(5, 9)), as_timm_does(noise(5, 9), settings), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 20_001), (20_001, 1), (3, 9_999)])
def test_very_long_image_costs_little_and_keeps_its_centre(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    resize = Image.Image.resize

    def watched(self: Any, size: tuple[int, int], *options: Any) -> Any:
        made.append(size[0] * size[1])
        return resize(self, size, *options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    middle, half = max(shape) // 2, min(shape) // 2
    pixels = np.zeros((max(shape), min(shape), 3), np.uint8)
    pixels[middle - half : middle + half + 1] = 255  # the square in the middle, and nothing else, is in the crop
    pixels = pixels if shape[0] > shape[1] else pixels.transpose(1, 0, 2)
    found = Preprocess(size=60, mean=(0, 0, 0), std=(1, 1, 1), interpolation="nearest")(pixels)
    assert (found == 1).all()
    assert max(made) <= 10 * 60 * 60


def test_long_image_looks_as_if_it_had_never_been_trimmed() -> None:
    for shape in ((10, 301), (10, 300), (301, 10)):
        settings = Preprocess(size=20, mean=(0, 0, 0), std=(1, 1, 1), interpolation="bilinear")
        smooth = np.add.outer(np.arange(shape[0]), np.arange(shape[1]) % 40 * 4.0)[:, :, None].repeat(3, 2)
        pixels = smooth.clip(0, 255).astype(np.uint8)
        assert abs(settings(pixels) - as_timm_does(pixels, settings)).max() < 0.03


def test_grayscale_is_luminance_in_one_channel() -> None:
    settings = Preprocess(size=2, grayscale=True, mean=(0.5, 0, 0), std=(0.25, 1, 1))
    red = np.zeros((2, 2, 3), np.uint8)
    red[:, :, 0] = 255
    found = settings(red)
    assert found.shape == (1, 2, 2)
    # 0.299 of 255 is 76.2, so 76.
    np.testing.assert_allclose(found, (76 / 255 - 0.5) / 0.25, atol=1e-6)


def test_pixels_are_not_changed() -> None:
    pixels = noise(9, 9)
    before = pixels.copy()
    pixels.flags.writeable = False
    Preprocess(size=9)(pixels)
    assert (pixels == before).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 0},
        {"size": 2.5},
        {"size": "224"},
        {"crop_pct": 0},
        {"crop_pct": 1.01},
        {"crop_pct": math.nan},
        {"crop_pct": "0.9"},
        {"std": (1, 0, 1)},
        {"std": (1, math.nan, 1)},
        {"std": (1, 1)},
        {"mean": (1, 1, 1, 1)},
        {"mean": "abc"},
        {"mean": (math.inf, 0, 0)},
        {"resize": "long_side"},
        {"interpolation": "area"},
        {"draft": -1},
        {"draft": 1.5},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        Preprocess.from_dict(settings)
    assert "\n" not in str(caught.value)
    assert next(iter(settings)) in str(caught.value)


def test_dictionary_there_and_back() -> None:
    settings = Preprocess(64, 0.9, "exact", "lanczos", (0.1, 0.2, 0.3), (1, 2, 3), grayscale=True)
    assert Preprocess.from_dict(settings.to_dict()) == settings
    assert settings.to_dict()["mean"] == [0.1, 0.2, 0.3]
    assert Preprocess.from_dict({}) == Preprocess()


def test_whole_and_decimal_numbers_are_one_setting() -> None:
    assert str(Preprocess(crop_pct=1, std=(1, 1, 1)).to_dict()) == str(
        Preprocess(crop_pct=1.0, std=(1.0,) * 3).to_dict()
    )


def test_without_draft_the_settings_are_what_they_were_before_there_was_one() -> None:
    assert "draft" not in Preprocess(draft=0).to_dict()
    assert Preprocess(draft=3).to_dict()["draft"] == 3


def test_what_a_decoded_image_must_keep() -> None:
    first, second = Preprocess(size=224, crop_pct=0.875), Preprocess(size=100, draft=4)
    assert first.least == Least(2 * 256, 2 * 256)
    assert second.least == Least(4 * 100, 4 * 256)
    assert least_of(first, None) == first.least
    assert least_of(first, second) == Least(512, 1024)
    whole = Preprocess(draft=0)
    assert whole.least is least_of(whole, None) is least_of(first, whole) is least_of(whole, first) is None


def test_how_a_file_is_read_is_part_of_the_settings() -> None:
    plain = Preprocess(size=4)
    deep = Preprocess(size=4, bits=12, bands=[4, 3, 2], frame=2)
    assert deep.reading == Reading(12, (4, 3, 2), 2)
    assert {"bits", "bands", "frame"} & plain.to_dict().keys() == set()
    assert Preprocess.from_dict(deep.to_dict()) == deep
    assert deep.to_dict() != plain.to_dict()
    for wrong in ({"bits": 4}, {"bands": (1, 0, 2)}, {"frame": 0}):
        with pytest.raises(ModelError):
            Preprocess(**wrong)


def test_a_file_is_loaded_as_the_settings_say() -> None:
    stream = io.BytesIO()
    Image.fromarray((np.arange(64, dtype=np.uint16) * 64).reshape(8, 8)).save(stream, "PNG")
    item = ImageItem("a.png", stream.getvalue())
    dark, right = (load(item, Preprocess(size=8, bits=bits)) for bits in (None, 12))
    assert dark.remarks == ("deep:16:12",)
    assert right.remarks == ()
    assert right.thumbnail[-1] == 252
    assert dark.thumbnail[-1] == 15
    assert dark.pixels != right.pixels
