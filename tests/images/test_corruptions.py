import numpy as np
import pytest
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.images.corruptions import CORRUPTIONS, corrupt, random_corruption


def scene(height=48, width=40):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 8), (31, 33), (900, 3), (500, 700)])
@pytest.mark.parametrize("severity", [1e-9, 0.2, 1.0])
def test_every_kind_keeps_shape_and_type_at_every_size(kind, shape, severity):
    pixels = scene(*shape)
    damaged = corrupt(pixels, kind, severity, seed=1)
    assert damaged.shape == pixels.shape
    assert damaged.dtype == np.uint8
    assert damaged.flags.writeable


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_kind_leaves_its_input_alone_and_repeats_itself(kind):
    pixels = scene()
    copy = pixels.copy()
    pixels.flags.writeable = False
    first, again = (corrupt(pixels, kind, 0.7, seed=5) for _ in range(2))
    assert (first == again).all()
    assert (pixels == copy).all()
    assert not np.shares_memory(first, pixels)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("side", [32, 224, 640])
def test_every_kind_changes_more_the_stronger_it_is(kind, side):
    pixels = scene(side, side)
    distances = [
        np.mean([np.abs(corrupt(pixels, kind, s, seed).astype(int) - pixels).mean() for seed in range(4)])
        for s in (0.05, 0.4, 1.0)
    ]
    assert 0 <= distances[0] < distances[1] < distances[2]
    assert distances[2] > 1.5


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("side", [32, 640])
def test_something_of_the_image_is_left_at_full_strength(kind, side):
    pixels = scene(side, side)
    damaged = corrupt(pixels, kind, 1.0, seed=2)
    assert damaged.std() > 0.1 * pixels.std()


def test_strength_is_relative_to_the_image_size():
    small = scene(224, 224)
    large = np.array(Image.fromarray(small).resize((1792, 1792), Image.Resampling.NEAREST))
    for kind in ("gaussian_noise", "impulse_noise", "gaussian_blur", "motion_blur", "resolution", "occlusion"):
        seen = np.array(Image.fromarray(corrupt(large, kind, 0.8, 3)).resize((224, 224), Image.Resampling.BOX))
        here, there = (np.abs(x.astype(int) - small).mean() for x in (corrupt(small, kind, 0.8, 3), seen))
        assert there == pytest.approx(here, rel=0.35), kind


def test_by_hand():
    flat = np.full((10, 10, 3), 100, np.uint8)
    assert (corrupt(flat, "darkness", 1.0, 0) == 15).all()
    assert (corrupt(flat, "brightness", 0.4, 0) == 170).all()  # 1.6 * 100 + 10.2
    step = np.zeros((2, 2, 3), np.uint8)
    step[0] = 200
    assert corrupt(step, "contrast", 1.0, 0)[:, 0, 0].tolist() == [115, 85]  # 100 +- 0.15 * 100
    assert (corrupt(flat, "occlusion", 1.0, 0) != 100).any(axis=2).sum() == 36  # sqrt(0.35) * 10 = 5.9


def test_impulse_noise_hits_its_share_of_the_pixels():
    damaged = corrupt(np.full((200, 200, 3), 100, np.uint8), "impulse_noise", 1.0, 0)
    assert (damaged == 0).mean() == pytest.approx(0.075, abs=0.01)
    assert (damaged == 255).mean() == pytest.approx(0.075, abs=0.01)


def test_motion_blur_is_as_long_as_it_says_and_stays_in_place():
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    for seed in range(5):
        rows, columns = np.nonzero(corrupt(point, "motion_blur", 1.0, seed)[:, :, 0])
        assert np.hypot(np.ptp(rows), np.ptp(columns)) == pytest.approx(21.2, abs=3)
        assert abs(rows.mean() - 50) <= 1.5
        assert abs(columns.mean() - 50) <= 1.5


def test_translation_moves_the_picture():
    pixels = scene(50, 50)
    damaged = corrupt(pixels, "translation", 0.5, seed=0)
    found = [
        (dy, dx)
        for dy in range(-8, 9)
        for dx in range(-8, 9)
        if (damaged[10 + dy : 40 + dy, 10 + dx : 40 + dx] == pixels[10:40, 10:40]).all()
    ]
    assert len(found) == 1
    assert np.hypot(*found[0]) == pytest.approx(7.5, abs=1)


def test_an_image_too_long_for_jpeg_is_returned_as_it_is():
    pixels = np.zeros((1, 70_000, 3), np.uint8)
    assert (corrupt(pixels, "jpeg", 1.0, 0) == pixels).all()


def test_random_corruption_depends_on_key_and_seed_alone():
    pixels = scene()
    keys = [f"{i}.jpg" for i in range(40)]
    forward = {key: random_corruption(pixels, key, 7) for key in keys}
    backward = {key: random_corruption(pixels, key, 7) for key in reversed(keys)}
    for key in keys:
        assert (forward[key][0] == backward[key][0]).all()
        assert forward[key][1:] == backward[key][1:]
        damaged, kind, severity = forward[key]
        assert 0.2 <= severity <= 1
        assert kind in CORRUPTIONS
        assert damaged.shape == pixels.shape
    assert len({kind for _, kind, _ in forward.values()}) > 8
    assert any(random_corruption(pixels, key, 8)[1:] != forward[key][1:] for key in keys)


def test_random_corruption_spreads_evenly_over_the_kinds_asked_for():
    pixels = np.zeros((2, 2, 3), np.uint8)
    drawn = [random_corruption(pixels, str(i), 0, ["jpeg", "contrast"])[1:] for i in range(400)]
    assert np.mean([kind == "jpeg" for kind, _ in drawn]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([severity for _, severity in drawn]) == pytest.approx(0.6, abs=0.05)


def test_the_draw_is_pinned_so_that_artifacts_stay_reproducible():
    _, kind, severity = random_corruption(np.zeros((2, 2, 3), np.uint8), "cat/1.jpg", 0)
    assert (kind, round(severity, 6)) == ("translation", 0.810667)


def test_odd_keys_are_fine():
    for key in ("", "käse\n'\"", "\udce9.jpg"):
        assert random_corruption(scene(), key, 0)[0].shape == (48, 40, 3)


def test_errors_name_the_value_and_what_is_known():
    pixels = scene()
    with pytest.raises(InputError, match=r"unknown kind of damage 'fog'; choose from gaussian_noise, impulse_noise,.*"):
        corrupt(pixels, "fog", 1.0, 0)
    with pytest.raises(InputError, match="'fog'"):
        random_corruption(pixels, "a", 0, ["jpeg", "fog"])
    with pytest.raises(InputError, match="no kind"):
        random_corruption(pixels, "a", 0, [])
    for severity in (0, -1, 1.01, float("nan")):
        with pytest.raises(InputError, match="severity"):
            corrupt(pixels, "jpeg", severity, 0)
    for wrong in (pixels.astype(float), pixels[:, :, 0], pixels[:0], pixels[:, :, :2]):
        with pytest.raises(InputError, match=r"\(h, w, 3\)"):
            corrupt(wrong, "jpeg", 0.5, 0)
