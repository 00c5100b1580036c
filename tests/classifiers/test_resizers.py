"""Resizing equals the library that is named, seen on an image with edges, noise and flat parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError


def picture(height: int = 90, width: int = 130) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (250, 20, 90)
    pixels[height // 2 :, : width // 3] //= 4
    return pixels


def seen(pixels: np.ndarray, **settings: Any) -> np.ndarray:
    """What the network gets, in grey levels."""
    return Preprocess(mean=0, std=1, range=255, **settings)(pixels).transpose(1, 2, 0)


@pytest.mark.parametrize(("interpolation", "flag"), [("linear", 1), ("area", 3), ("cubic", 2), ("nearest", 0)])
def test_opencv(interpolation: str, flag: int) -> None:
    cv2 = pytest.importorskip("cv2")
    expected = cv2.resize(picture(), (32, 32), interpolation=flag)
    found = seen(picture(), size=32, resize="exact", resizer="opencv", interpolation=interpolation)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("interpolation", "antialias"), [("bilinear", True), ("bicubic", True), ("bilinear", False)])
def test_torch_on_bytes(interpolation: str, antialias: bool) -> None:
    pixels = torch.from_numpy(picture().transpose(2, 0, 1))[None]
    expected = functional.interpolate(pixels, size=(32, 32), mode=interpolation, antialias=antialias)
    options: Any = {"interpolation": interpolation, "antialias": antialias}
    found = seen(picture(), size=32, resize="exact", resizer="torch", **options)
    assert abs(found - expected[0].numpy().transpose(1, 2, 0).astype(float)).max() <= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest-exact"])
def test_torchvision_works_in_bytes_from_step_to_step(interpolation: str) -> None:
    pixels = torch.from_numpy(np.ascontiguousarray(picture().transpose(2, 0, 1)))[None]
    options: Any = {} if interpolation.startswith("nearest") else {"antialias": True}
    expected = functional.interpolate(pixels, size=(48, 144), mode=interpolation, **options)
    found = seen(picture(), size=(48, 144), resize="exact", resizer="torchvision", interpolation=interpolation)
    np.testing.assert_array_equal(found, expected[0].numpy().transpose(1, 2, 0))


def test_pixels_that_are_lent_read_only_are_resized_too() -> None:
    lent = picture()
    lent.setflags(write=False)
    found = seen(lent, size=32, resize="exact", resizer="torchvision")
    np.testing.assert_array_equal(found, seen(picture(), size=32, resize="exact", resizer="torchvision"))


def test_where_a_crop_begins_if_half_a_pixel_is_left() -> None:
    pixels = picture(20, 23)
    for offset, left in (("round", 2), ("floor", 1)):
        found = seen(pixels, size=20, interpolation="nearest", crop_offset=offset)
        np.testing.assert_array_equal(found, pixels[:, left : left + 20])
    with pytest.raises(ModelError, match="it must be 'round' or 'floor'"):
        Preprocess(crop_offset="ceil")  # type: ignore[arg-type]


def linear_without_averaging(pixels: np.ndarray, size: int) -> np.ndarray:
    """Four pixels around the centre of each new one, weighted by nearness: what tf.image and Keras do by default."""
    found = pixels.astype(np.float64)
    for axis in (0, 1):
        old = found.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        weight = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        high = np.minimum(low + 1, old - 1)
        found = found.take(low, axis) * (1 - weight) + found.take(high, axis) * weight
    return found


def test_keras_takes_four_pixels_and_does_not_round() -> None:
    found = seen(picture(), size=32, resize="exact", resizer="keras", interpolation="bilinear")
    np.testing.assert_allclose(found, linear_without_averaging(picture(), 32), atol=1e-3)
    assert (found != found.round()).any()


def test_bgr_and_bytes() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 0] = 200
    found = Preprocess(size=4, channels="bgr", range=255, mean=(0, 0, 100), std=2)(pixels)
    assert found[:, 0, 0].tolist() == [0.0, 0.0, 50.0]


def test_an_input_that_is_no_square() -> None:
    pixels = picture(60, 90)
    settings = Preprocess(size=(20, 40), mean=0, std=1, range=255)
    scaled = Image.fromarray(pixels).resize((40, 27), Image.Resampling.BICUBIC)
    found = settings(pixels).transpose(1, 2, 0)
    np.testing.assert_array_equal(found, np.asarray(scaled)[4:24])  # rounded, as timm does
    assert settings == Preprocess.from_dict(settings.to_dict())
    assert Preprocess.from_dict(Preprocess(draft=0).to_dict()) == Preprocess(draft=0)
    assert Preprocess(size=(8, 8)) == Preprocess(size=8)


def test_squash_squeezes_and_then_crops() -> None:
    before = math.floor(28 / 0.875)
    scaled = np.asarray(Image.fromarray(picture()).resize((before, before), Image.Resampling.BICUBIC))
    found = seen(picture(), size=28, crop_pct=0.875, resize="squash")
    np.testing.assert_array_equal(found, scaled[2:30, 2:30])


def test_border_keeps_the_whole_image_and_fills_up_with_the_mean() -> None:
    settings = Preprocess(size=26, resize="border", mean=0.5, std=1, range=1)
    found = settings(picture())
    assert found.shape == (3, 26, 26)
    assert abs(found[:, [0, 1, 2, 3, 22, 23, 24, 25]]).max() < 0.01  # 130 x 90 becomes 26 x 18
    assert abs(found[:, 4:22]).max() > 0.4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resizer": "pil"}, "resizer is 'pil'; it must be one of pillow, opencv, torch, torchvision, keras"),
        ({"resizer": "torch", "interpolation": "area"}, "'area' is no filter of torch: nearest, bilinear, bicubic"),
        ({"antialias": False}, "antialias is False and pillow always averages; resizer=torch does not have to"),
        ({"resizer": "opencv", "antialias": True, "interpolation": "linear"}, "opencv never does; use area"),
        ({"channels": "gbr"}, "channels is 'gbr'; it must be 'rgb', 'bgr' or a number of bands"),
        ({"range": 255}, "range is 255 and mean and std are those of 0..1; state them in the same units"),
        ({"range": 0}, "range is 0.0; give what white is"),
        ({"size": (3, 4, 5)}, "whole number as size"),
        ({"mean": (0.1, 0.2)}, "mean needs 3 numbers, one a channel, or one for all"),
    ],
)
def test_what_there_is_not_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Preprocess(**settings)


def test_files_are_decoded_whole_where_pixels_are_picked() -> None:
    assert Preprocess(size=8).least is not None
    assert Preprocess(size=8, resizer="keras", interpolation="bilinear").least is None
    assert Preprocess(size=8, interpolation="nearest").least is None
