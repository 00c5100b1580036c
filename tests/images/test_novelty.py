import numpy as np
import pytest
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.images.corruptions import keyed_generator
from uncertainty.images.novelty import FOREIGN, random_foreign

SEEDS = range(12)


def scene(height=48, width=40):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def made(kind, pixels, seed=0):
    return FOREIGN[kind](pixels, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 9), (3, 2), (8, 8), (31, 33), (900, 3), (1, 70_000), (500, 700)])
def test_every_kind_keeps_shape_and_type_at_every_size(kind, shape):
    pixels = scene(*shape)
    for seed in range(4):
        foreign = made(kind, pixels, seed)
        assert foreign.shape == pixels.shape
        assert foreign.dtype == np.uint8
        assert foreign.flags.writeable


@pytest.mark.parametrize("kind", FOREIGN)
def test_every_kind_leaves_its_input_alone_and_repeats_itself(kind):
    pixels = scene()
    copy = pixels.copy()
    pixels.flags.writeable = False
    for seed in SEEDS:
        first, again = made(kind, pixels, seed), made(kind, pixels, seed)
        assert (first == again).all()
        assert not np.shares_memory(first, pixels)
    assert (pixels == copy).all()


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("side", [8, 32, 224, 640])
def test_the_picture_is_gone(kind, side):
    pixels = scene(side, side)
    distances = [np.abs(made(kind, pixels, seed).astype(int) - pixels).mean() for seed in SEEDS]
    assert min(distances) > 0.5 * np.abs(pixels - pixels.mean()).mean()


@pytest.mark.parametrize("kind", FOREIGN)
def test_grey_stays_grey_and_flat_stays_flat(kind):
    grey = np.repeat(scene()[:, :, :1], 3, axis=2)
    flat = np.full((9, 7, 3), (10, 200, 90), np.uint8)
    for seed in SEEDS:
        assert np.ptp(made(kind, grey, seed), axis=2).max() == 0
        assert (made(kind, flat, seed) == flat).all()


def test_shuffled_patches_keep_all_pixels_none_stays_and_all_are_turned():
    numbered = np.arange(144, dtype=np.uint8).reshape(12, 12)
    grids = set()
    for seed in range(60):
        rows, columns = np.random.default_rng(seed).integers(2, 5, 2).tolist()
        grids.add((rows, columns))
        height, width = 12 // rows, 12 // columns
        shuffled = made("patch_shuffle", numbered[:, :, None].repeat(3, axis=2), seed)[:, :, 0]
        assert sorted(shuffled.ravel()) == list(range(144))
        for top in range(0, 12, height):
            for left in range(0, 12, width):
                patch = shuffled[top : top + height, left : left + width]
                y, x = divmod(int(patch.min()), 12)
                was = numbered[y : y + height, x : x + width]
                assert (y, x) != (top, left)
                assert sum((patch == turned).all() for turned in (was[::-1], was[:, ::-1], was[::-1, ::-1])) == 1
    assert grids == {(rows, columns) for rows in (2, 3, 4) for columns in (2, 3, 4)}


def test_patches_of_a_size_that_is_not_divisible_leave_no_gap():
    rows = np.arange(7, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 3), np.uint8) + 100
    for seed in SEEDS:
        assert set(np.unique(made("patch_shuffle", rows, seed))) <= set(range(100, 107))
        assert (made("patch_shuffle", rows, seed)[:, :, 0] != rows[:, :, 0]).mean() > 0.5


def test_scrambled_phases_keep_range_and_the_shape_of_the_amplitudes():
    pixels = scene(48, 41)
    before = np.abs(np.fft.rfft2(pixels, axes=(0, 1)))
    for seed in SEEDS:
        scrambled = made("phase_scramble", pixels, seed)
        assert (scrambled.min(), scrambled.max()) == (pixels.min(), pixels.max())
        after = np.abs(np.fft.rfft2(scrambled, axes=(0, 1)))
        strong = before > 2000
        strong[0, 0] = False
        ratios = after[strong] / before[strong]
        assert ratios == pytest.approx(np.full(ratios.shape, np.median(ratios)), rel=0.05)


def test_scrambled_channels_keep_their_correlation():
    pixels = scene()
    pixels[:, :, 1] = 255 - pixels[:, :, 0]
    red, green, _ = made("phase_scramble", pixels).reshape(-1, 3).T
    assert np.corrcoef(red, green)[0, 1] == pytest.approx(-1, abs=0.001)


def test_a_crop_shows_a_fifth_to_a_quarter_of_each_side():
    ramp = np.arange(200, dtype=np.uint8)
    down, across = (np.broadcast_to(r[:, :, None], (200, 200, 3)).copy() for r in (ramp[:, None], ramp[None]))
    for seed in SEEDS:
        for pixels, axis in ((down, 0), (across, 1)):
            extent = np.ptp(made("extreme_crop", pixels, seed), axis=axis)
            assert ((extent >= 38) & (extent <= 51)).all()


def test_a_noise_field_has_the_image_s_mean_and_deviation_or_is_flat():
    pixels = (scene(64, 64) // 4 + np.array([60, 90, 120])).astype(np.uint8)  # far from black and white: nothing clips
    flat = 0
    for seed in range(120):
        field = made("noise_field", pixels, seed)
        assert field.mean(axis=(0, 1)) == pytest.approx(pixels.mean(axis=(0, 1)), abs=1.0)
        if np.ptp(field, axis=(0, 1)).max() == 0:
            flat += 1
        else:
            assert field.std(axis=(0, 1)) == pytest.approx(pixels.std(axis=(0, 1)), rel=0.05)
    assert flat / 120 == pytest.approx(1 / 6, abs=0.1)


def test_random_foreign_depends_on_key_and_seed_alone():
    pixels = scene()
    keys = [f"{i}.jpg" for i in range(40)]
    forward = {key: random_foreign(pixels, key, 7) for key in keys}
    backward = {key: random_foreign(pixels, key, 7) for key in reversed(keys)}
    for key in keys:
        assert (forward[key][0] == backward[key][0]).all()
        assert forward[key][1] == backward[key][1]
    assert {kind for _, kind in forward.values()} == set(FOREIGN)
    assert any(random_foreign(pixels, key, 8)[1] != forward[key][1] for key in keys)


def test_random_foreign_spreads_evenly_over_the_kinds_asked_for():
    pixels = np.zeros((2, 2, 3), np.uint8)
    drawn = [random_foreign(pixels, str(i), 0, ["extreme_crop", "patch_shuffle"])[1] for i in range(400)]
    assert np.mean([kind == "extreme_crop" for kind in drawn]) == pytest.approx(0.5, abs=0.1)


def test_odd_keys_are_fine():
    for key in ("", "käse\n'\"", "\udce9.jpg"):
        assert random_foreign(scene(), key, 0)[0].shape == (48, 40, 3)


def test_keyed_generators_differ_by_key_and_by_seed():
    draws = {int(keyed_generator(key, seed).integers(2**62)) for key in "ab" for seed in (0, 1)}
    assert len(draws) == 4


def test_errors_name_the_value_and_what_is_known():
    pixels = scene()
    with pytest.raises(InputError, match=r"unknown kind of foreign image 'fog'; choose from patch_shuffle, .*"):
        random_foreign(pixels, "a", 0, ["extreme_crop", "fog"])
    with pytest.raises(InputError, match="no kind"):
        random_foreign(pixels, "a", 0, [])
    for wrong in (pixels.astype(float), pixels[:, :, 0], pixels[:0], pixels[:, :, :2]):
        with pytest.raises(InputError, match=r"\(h, w, 3\)"):
            random_foreign(wrong, "a", 0)
