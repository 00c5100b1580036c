"""Near-duplicates: found though brightened, scaled or saved anew, and hardly ever where images differ."""

import io

import numpy as np
import pytest
from PIL import Image

from uncertainty.annotation.near_duplicates import folded
from uncertainty.images.thumbnails import details, thumbnail
from uncertainty.neighbors import normalised


def pictures(n, seed=0, side=48):
    """Smooth random pictures, as photographs are, each unlike the others."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (n, 12, 12, 3)).astype(np.uint8)
    return [np.asarray(Image.fromarray(c).resize((side, side), Image.Resampling.BICUBIC)) for c in coarse]


def brightened(pixels):
    return np.rint(pixels * 1.2).clip(0, 255).astype(np.uint8)


def saved_anew(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=70)
    return np.asarray(Image.open(buffer))


def smaller(pixels):
    return np.asarray(Image.fromarray(pixels).resize((30, 30), Image.Resampling.LANCZOS))


def looks_of(images):
    return details(np.stack([thumbnail(pixels) for pixels in images]))


def test_a_group_whose_first_image_is_a_copy_is_still_listed():
    """Row 1 is a copy of row 0 of another film: row 2 stands for its film, and row 4 for nobody's."""
    films = ["a", "b", "b", "a", None, "b"]
    assert folded(None, ["x", "x", None, None, None, None], films).tolist() == [0, 0, 2, 0, 4, 2]
    looks = looks_of(pictures(5))
    assert folded(np.concatenate([looks, looks[:1]]), None, ["a", "b", "b", "a", None, "b"]).tolist() == [
        0, 1, 1, 0, 4, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("change", [brightened, saved_anew, smaller])
def test_a_changed_copy_is_folded_into_its_picture(change):
    images = pictures(60)
    found = folded(looks_of([*images, *map(change, images)]))
    assert found.tolist() == [*range(60), *range(60)]


def test_pictures_that_differ_stay():
    assert folded(looks_of(pictures(200))).tolist() == list(range(200))


def test_frames_of_one_film_are_one_group():
    images = pictures(200)
    rng = np.random.default_rng(1)
    frames = [(images[0] + rng.integers(0, 8, images[0].shape)).clip(0, 255).astype(np.uint8) for _ in range(10)]
    found = folded(looks_of([*images, *frames]))
    assert found[200:].tolist() == [0] * 10


def test_where_all_look_alike_twins_must_be_more_alike():
    """Rows at 10 degrees from one direction have cosines of about 0.97 with each other; only true twins are folded."""
    rng = np.random.default_rng(0)
    x = normalised(np.eye(50)[0] + 0.18 / np.sqrt(50) * rng.normal(size=(100, 50)))
    assert (x @ x.T).min() > 0.9
    assert folded(x).tolist() == list(range(100))
    assert folded(np.concatenate([x, x[:3]])).tolist() == [*range(100), 0, 1, 2]


def test_the_same_whatever_the_size_of_blocks(monkeypatch):
    looks = looks_of([*pictures(40), *map(brightened, pictures(40))])
    whole = folded(looks)
    monkeypatch.setattr("uncertainty.annotation.near_duplicates._FLOATS_AT_ONCE", 7 * 80)
    np.testing.assert_array_equal(folded(looks), whole)


def test_a_flat_image_is_like_no_other():
    flat = [np.full((20, 20, 3), value, np.uint8) for value in (10, 10, 200)]
    assert folded(looks_of(flat)).tolist() == [0, 1, 2]


def test_no_rows_and_one_row():
    assert folded(np.empty((0, 4), np.float32)).tolist() == []
    assert folded(np.ones((1, 4), np.float32)).tolist() == [0]


def test_equal_files_are_folded_whatever_they_look_like():
    x = normalised(np.random.default_rng(0).normal(size=(40, 30)))
    digests = ["same" if row in (3, 30, 31) else None for row in range(40)]
    found = folded(x, digests)
    assert found[[3, 30, 31]].tolist() == [3, 3, 3]
    assert (np.delete(found, [30, 31]) == np.delete(np.arange(40), [30, 31])).all()


def test_a_thumbnail_of_a_large_image_is_that_of_its_reduction():
    small = pictures(1, side=512)[0]
    large = np.asarray(Image.fromarray(small).resize((2048, 2048), Image.Resampling.BICUBIC))
    assert np.abs(thumbnail(large).astype(int) - thumbnail(small).astype(int)).max() <= 1
