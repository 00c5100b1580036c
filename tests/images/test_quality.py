import numpy as np
import pytest
from PIL import Image, ImageFilter

from uncertainty.images.corruptions import corrupt
from uncertainty.images.decoding import DecodedImage
from uncertainty.images.quality import QUALITY_NAMES, quality

FINE = ("noise", "blocking", "softness")
OF_DETAIL = ("blur", *FINE)


def measured(pixels, size=None):
    pixels = np.asarray(pixels, np.uint8)
    width, height = size or (pixels.shape[1], pixels.shape[0])
    return dict(zip(QUALITY_NAMES, quality(DecodedImage(pixels, width, height)).tolist(), strict=True))


def scene(side=96, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return np.array(Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 5000), (5000, 1), (3, 3), (257, 255), (700, 300)])
@pytest.mark.parametrize("fill", [0, 255, None])
def test_finite_float32_for_every_image(shape, fill):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8) if fill is None else np.full((*shape, 3), fill, np.uint8)
    values = quality(DecodedImage(pixels, shape[1], shape[0]))
    assert values.shape == (len(QUALITY_NAMES),)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


def test_black_and_white_by_hand():
    black, white = (measured(np.full((8, 16, 3), value)) for value in (0, 255))
    assert black.pop("blur") == pytest.approx(2 * np.log(255)) == white.pop("blur")
    flat = dict.fromkeys(("brightness", "contrast", "saturation", "entropy"), 0)
    fine = dict.fromkeys(("highlights", "noise", "blocking", "softness"), 0)
    assert black == flat | fine | {"darkness": 1, "size": 7, "aspect": 1}
    assert white == black | {"brightness": 1, "darkness": 0, "highlights": 1}


def test_saturation_by_hand():
    pixels = [[[255, 0, 0], [100, 50, 75]], [[0, 0, 0], [9, 9, 9]]]
    assert measured(pixels)["saturation"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)


def test_entropy_and_percentiles_by_hand():
    levels = np.repeat(np.arange(20, dtype=np.uint8) * 10, 5).reshape(10, 10)  # each level is 5 % of the image
    found = measured(np.repeat(levels[:, :, None], 3, axis=2))
    assert found["entropy"] == pytest.approx(np.log2(20))
    assert found["darkness"] == pytest.approx(1 - 180 / 255)
    assert found["contrast"] == pytest.approx(180 / 255)


@pytest.mark.parametrize(("lit", "highlights"), [(0, 0.1), (9, 0.1), (20, 1)])
def test_a_lamp_makes_a_night_bright_and_dead_pixels_do_not(lit, highlights):
    pixels = np.full((100, 100, 3), 0.1 * 255)
    pixels[0, :lit, 2] = 255  # whatever its colour
    assert measured(pixels)["highlights"] == pytest.approx(highlights, abs=1 / 255)


def test_a_single_line_has_a_laplacian_too():
    assert measured([[[0] * 3, [255] * 3, [0] * 3]])["blur"] < measured([[[0] * 3] * 3])["blur"]


@pytest.mark.parametrize(
    ("kind", "name", "sign"),
    [
        ("brightness", "brightness", 1),
        ("darkness", "darkness", 1),
        ("contrast", "contrast", -1),
        ("gaussian_blur", "blur", 1),
        ("motion_blur", "blur", 1),
        ("gaussian_noise", "blur", -1),
        ("colour", "saturation", -1),
        ("contrast", "entropy", -1),
    ],
)
@pytest.mark.parametrize("side", [32, 224, 600])
def test_damage_moves_its_statistic_further_the_stronger_it_is(kind, name, sign, side):
    pixels = scene(side)
    values = [measured(pixels)[name], *(measured(corrupt(pixels, kind, s, seed=0))[name] for s in (0.4, 1.0))]
    assert (np.diff(values) * sign > 0).all()


def test_blur_grows_with_the_radius_at_any_resolution():
    for side in (64, 1000):
        image = Image.fromarray(scene(side, seed=3))
        radii = (0, 0.01 * side, 0.03 * side)
        values = [measured(np.array(image.filter(ImageFilter.GaussianBlur(r))))["blur"] for r in radii]
        assert (np.diff(values) > 0).all()


def test_resolution_changes_only_the_size():
    small = scene(200)
    large = measured(small.repeat(5, axis=0).repeat(5, axis=1))
    assert large.pop("size") == pytest.approx(measured(small)["size"] + 2 * np.log2(5))
    expected = measured(small)
    assert {name: pytest.approx(expected[name], abs=0.02) for name in large if name not in OF_DETAIL} == {
        name: value for name, value in large.items() if name not in OF_DETAIL
    }


def test_size_and_aspect_are_those_of_the_file():
    found = measured(np.zeros((4, 4, 3)), size=(4096, 1024))
    assert (found["size"], found["aspect"]) == (22, 2)
    assert measured(np.zeros((4, 4, 3)), size=(1024, 4096))["aspect"] == 2


def test_pixels_are_left_alone():
    pixels = scene(300)
    copy = pixels.copy()
    pixels.flags.writeable = False
    quality(DecodedImage(pixels, 300, 300))
    assert (pixels == copy).all()


def test_a_part_of_the_size_is_measured_like_the_whole():
    whole = Image.fromarray(scene(1000, seed=4))
    expected = measured(np.array(whole))
    for side in (500, 251):
        part = np.array(whole.resize((side, side), Image.Resampling.BOX))
        found = measured(part, size=(1000, 1000))
        assert {name: pytest.approx(expected[name], abs=0.06) for name in found if name not in FINE} == {
            name: value for name, value in found.items() if name not in FINE
        }
