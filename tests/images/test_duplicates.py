"""The same picture in two sets, found by bytes and pixels before any network runs."""

import shutil

import numpy as np
import pytest
from PIL import Image

from uncertainty.errors import OverlapError
from uncertainty.images.duplicates import and_pictures, same_bytes, same_pictures
from uncertainty.images.formats.base import Reading
from uncertainty.images.in_memory import ArrayItem
from uncertainty.images.sources import find_images


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


def test_what_another_reading_may_tell_apart_is_not_refused_before_it_is_known(photos):
    """Two files of two pages with the same first one: a model that reads the second page sees two pictures."""
    rng = np.random.default_rng(2)
    first, *others = (Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30)) for _ in range(3))
    for folder, other in zip(("good", "own"), others, strict=True):
        first.save(photos / folder / "pages.tif", save_all=True, append_images=[other])
    good, own = find_images(photos / "good"), find_images(photos / "own")
    found = and_pictures(same_bytes(good, own))
    assert names(found) == {"a copy.jpg": "1.jpg", "saved again.png": "2.jpg", "pages.tif": "pages.tif"}
    assert names(found.however_read()) == {"a copy.jpg": "1.jpg", "saved again.png": "2.jpg"}
    assert "pages.tif" not in names(same_pictures(good, own, Reading(frame=2)))


def test_pictures_that_look_alike_and_are_not_the_same_are_told(photos):
    with Image.open(photos / "good" / "3.jpg") as picture:
        picture.point(lambda v: v // 2 + 60).save(photos / "own" / "lighter.jpg", quality=95)
    found = same_pictures(find_images(photos / "good"), find_images(photos / "own"))
    assert found.near_copies() == [
        "1 calibration image looks nearly like one of the reference, e.g. 'lighter.jpg' like '3.jpg'; if they are "
        "copies, p_wrong is too low"
    ]
    assert same_bytes(found.reference, found.calibration).near_copies() == []


def test_whose_sets_they_are(photos):
    good, own = find_images(photos / "good"), find_images(photos / "own")
    found = same_bytes(good, own)
    assert found.is_of(good, own.labelled() if own.folder_labels else own)
    assert not found.is_of(good, own.select([0]))
    assert not found.is_of(find_images(photos / "good"), own)
