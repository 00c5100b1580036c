import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from uncertainty.images.decoding import DecodedImage, Least, decode
from uncertainty.images.fine_detail import fine_detail


def scene(height=120, width=160, seed=0):
    coarse = np.random.default_rng(seed).integers(40, 216, (height // 10, width // 10, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def measured(image):
    pixels = np.asarray(image)
    return fine_detail(DecodedImage(pixels, pixels.shape[1], pixels.shape[0]))


def compressed(image, quality):
    into = io.BytesIO()
    image.save(into, "JPEG", quality=quality)
    return into.getvalue()


@pytest.mark.parametrize("sigma", [5, 20, 40])
@pytest.mark.parametrize("size", [(32, 32), (300, 40), (40, 300)])
def test_noise_is_the_deviation_that_was_added(sigma, size):
    noise = np.random.default_rng(0).normal(128, sigma, (*size, 3)).round().clip(0, 255).astype(np.uint8)
    # The quietest twentieth of the segments of 16 pixels has 0.4 of it and more.
    assert 0.4 * sigma < 255 * measured(noise).noise < sigma


def test_texture_in_one_place_is_no_noise():
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[:, :24] = np.random.default_rng(0).integers(0, 256, (64, 24, 3))
    assert measured(pixels).noise == 0


@pytest.mark.parametrize("size", [(32, 32), (120, 160)])
def test_blocks_are_seen_after_saving_again_and_cropping(size):
    image = scene(*size) if size[0] > 32 else scene(60, 60).resize((32, 32))
    blocks = Image.open(io.BytesIO(compressed(image, 5)))
    again = Image.open(io.BytesIO(compressed(blocks, 95)))
    fewest = 0.25 + measured(image).blocking
    assert measured(blocks).blocking > fewest
    assert measured(again).blocking > fewest
    assert measured(np.asarray(blocks)[3:, 5:]).blocking > fewest


def test_blocks_are_seen_in_a_part_of_the_size():
    large = scene(960, 1280)
    found = [decode(compressed(large, quality), least=Least(400, 400)) for quality in (95, 4)]
    assert found[0].pixels.shape == (480, 640, 3)
    clean, blocks = (fine_detail(one).blocking for one in found)
    assert blocks > clean + 0.3


def test_a_part_without_blocks_says_nothing():
    assert fine_detail(DecodedImage(np.asarray(scene()), 1280, 960)).blocking == 0


def test_blurred_is_softer_than_sharp_and_noisy_is_not():
    sharp = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8))
    assert measured(sharp).softness < measured(sharp.filter(ImageFilter.GaussianBlur(2))).softness


def test_one_sharp_thing_before_a_soft_ground_is_not_soft():
    soft = scene(240, 320).filter(ImageFilter.GaussianBlur(8))
    portrait = np.array(soft)
    portrait[:, 150:200] = 255 - portrait[:, 150:200]
    assert measured(portrait).softness < measured(soft).softness - 0.5
    blurred = Image.fromarray(portrait).filter(ImageFilter.GaussianBlur(4))
    assert measured(portrait).softness < measured(blurred).softness - 0.5


def test_an_edge_of_a_thing_is_no_edge_of_blocks():
    """A step over several pixels, eight apart, is as large one pixel further; that of a block is not."""
    ramps = np.tile(np.array([0, 0, 0, 0, 20, 40, 60, 60]), (32, 4)) + 60 * np.repeat(np.arange(4), 8)
    steps = 60 * np.tile(np.repeat(np.arange(4), 8), (32, 1))
    things, blocks = (np.repeat(found[:, :, None], 3, axis=2).astype(np.uint8) for found in (ramps, steps))
    assert measured(things).blocking < 0.4 < 1.5 < measured(blocks).blocking


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (9, 9), (35, 20), (36, 20)])
def test_finite_for_every_shape(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert np.isfinite(fine_detail(DecodedImage(pixels, shape[1], shape[0]))).all()
