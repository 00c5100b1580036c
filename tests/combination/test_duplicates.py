"""The same picture in two sets, found by bytes and pixels before any network runs."""

import shutil

import numpy as np
import pytest
from conftest import CLASSES
from PIL import Image

from uncertainty.classifiers.image_loader import ArrayItem
from uncertainty.combination.duplicates import same_bytes, same_pictures
from uncertainty.errors import OverlapError
from uncertainty.images.sources import find_images
from uncertainty.screener import Screener


@pytest.fixture
def photos(tmp_path):
    """Two folders of smooth pictures, 40 x 30, of which two are in both: one file, and one saved again."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((40, 30)) for _ in range(8)]
    for folder in ("good", "own"):
        (tmp_path / folder).mkdir()
    for k, picture in enumerate(pictures):
        picture.save(tmp_path / ("good" if k < 4 else "own") / f"{k}.jpg", quality=90)
    shutil.copy(tmp_path / "good" / "1.jpg", tmp_path / "own" / "a copy.jpg")
    with Image.open(tmp_path / "good" / "2.jpg") as picture:
        picture.save(tmp_path / "own" / "saved again.png")
    return tmp_path


def names(found):
    return {str(found.calibration.names[row]): str(found.reference.names[other]) for row, other in found.rows.items()}


def test_files_and_pictures(photos):
    good, own = find_images(photos / "good"), find_images(photos / "own")
    assert names(same_bytes(good, own)) == {"a copy.jpg": "1.jpg"}
    assert names(same_pictures(good, own, workers=2)) == {"a copy.jpg": "1.jpg", "saved again.png": "2.jpg"}


def test_the_message_says_which_folder_holds_which(photos):
    good, own = find_images(photos / "good"), find_images(photos / "own")
    with pytest.raises(OverlapError) as caught:
        same_bytes(good, own).refuse()
    assert f"e.g. '{photos}/own/a copy.jpg' is '{photos}/good/1.jpg'; p_wrong" in str(caught.value)
    left, notes = same_pictures(good, own).left_out()
    assert list(left.names) == ["4.jpg", "5.jpg", "6.jpg", "7.jpg"]
    assert notes[0].startswith("2 calibration images were left out: the reference holds them too, e.g. ")


def test_lighter_and_unreadable_pictures_are_none(photos):
    (photos / "own" / "a copy.jpg").unlink()
    (photos / "own" / "saved again.png").unlink()
    with Image.open(photos / "good" / "3.jpg") as picture:
        picture.point(lambda v: v // 2 + 60).save(photos / "own" / "lighter.jpg")
    (photos / "own" / "broken.jpg").write_bytes(b"no image")
    (photos / "good" / "broken.jpg").write_bytes(b"not image")
    found = same_pictures(find_images(photos / "good"), find_images(photos / "own"))
    assert not found.rows
    found.refuse()
    assert found.left_out() == (found.calibration, [])


def test_arrays_and_files_are_compared_by_what_they_are(photos):
    pixels = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    good = [ArrayItem("x", pixels[0]), ArrayItem("y", pixels[1])]
    own = [ArrayItem("z", pixels[1].copy()), ArrayItem("odd", np.zeros(3, np.uint8))]
    assert same_pictures(good, own).rows == {0: 1}
    assert same_pictures(good, find_images(photos / "own")).rows == {}


def test_a_fit_refuses_before_the_network_runs_or_leaves_out(world, tmp_path):
    calibration = shutil.copytree(world.calibration, tmp_path / "calibration")
    shutil.copy(world.reference / "cat" / "000.png", calibration / "dog" / "holiday.png")
    ran = []
    hook = world.classifier.network.module.register_forward_hook(lambda m, x, y: ran.append(len(x[0])))
    with pytest.raises(OverlapError, match=r"\(--drop-duplicates\)"):
        Screener.fit(world.classifier, world.reference, calibration)
    hook.remove()
    assert ran == []
    given = {"passes": 2, "expect_damage": 0, "expect_unknown": 0}
    screener = Screener.fit(world.classifier, world.reference, calibration, drop_duplicates=True, **given)
    assert screener.calibrated_on["calibration"] == 50 * len(CLASSES)
    assert any(
        note.startswith("1 calibration image was left out: the reference holds it too") for note in screener.notes
    )
    with pytest.raises(OverlapError, match="all 120 calibration images are in the reference too"):
        Screener.fit(world.classifier, world.reference, world.reference, drop_duplicates=True)


def test_a_cache_changes_nothing_of_a_screener(world, tmp_path):
    given = {"passes": 2, "expect_unknown": 0, "views": ("flip",)}
    plain, filling, filled = (
        Screener.fit(world.classifier, world.reference, world.calibration, cache=cache, **given)
        for cache in (None, tmp_path / "c", tmp_path / "c")
    )
    for name, screener in (("plain", plain), ("filling", filling), ("filled", filled)):
        screener.save(tmp_path / name)
    files = [sorted((tmp_path / name).iterdir()) for name in ("plain", "filling", "filled")]
    contents = [[(path.name, path.read_bytes()) for path in some] for some in files]
    assert contents[0] == contents[1] == contents[2]
    assert list((tmp_path / "c").glob("??/*.safetensors"))
