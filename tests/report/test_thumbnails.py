"""Pictures are found where they are, and what can't be shown says why."""

import io

import numpy as np
import pytest
from PIL import Image

from uncertainty.images.by_name import Pictures
from uncertainty.report.thumbnails import GONE, thumbnail, thumbnails


def encoded(width, height, format="PNG", **options):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue(), pixels


@pytest.mark.parametrize(("width", "height"), [(400, 200), (200, 400), (161, 1), (160, 160)])
def test_no_side_is_longer_than_asked_and_the_aspect_stays(width, height):
    made = thumbnail(encoded(width, height)[0])
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.format == "WEBP"
        assert max(image.size) == min(160, max(width, height))
        assert image.width / image.height == pytest.approx(width / height, rel=0.02) or min(image.size) == 1
    assert (made.width, made.height) == (width, height)


def test_a_small_image_is_not_changed_at_all():
    data, pixels = encoded(12, 8)
    with Image.open(io.BytesIO(thumbnail(data).data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)


def test_an_image_lying_on_its_side_stands_up():
    exif = Image.Exif()
    exif[0x0112] = 6
    made = thumbnail(encoded(40, 20, "JPEG", exif=exif)[0])
    assert (made.width, made.height) == (20, 40)


def test_thumbnails_keep_the_order_of_the_names(tmp_path):
    for i in range(1, 150):
        (tmp_path / f"{i:03}.png").write_bytes(encoded(i, 3)[0])
    (tmp_path / "broken.png").write_bytes(b"no image")
    names = [f"{i:03}.png" for i in range(149, 0, -1)] + [
        "broken.png",
        "absent.png",
        "../absent.png",
        "a\0b",
        "x" * 5000,
    ]
    made = thumbnails(Pictures.at(tmp_path), names)
    assert [one.width for one in made[:149]] == list(range(149, 0, -1))
    assert "cannot identify the format" in made[149].error
    assert [one.error for one in made[150:]] == [GONE] * 4


def test_hidden_images_are_found_by_name(tmp_path):
    (tmp_path / "seen.png").write_bytes(encoded(2, 2)[0])
    (tmp_path / ".hidden.png").write_bytes(encoded(3, 3)[0])
    assert [one.width for one in thumbnails(Pictures.at(tmp_path), [".hidden.png", "seen.png"])] == [3, 2]


def test_nowhere_is_no_error(tmp_path):
    assert thumbnails(Pictures.at(None), ["a.png"])[0].error == GONE
    assert thumbnails(Pictures.at(tmp_path / "gone"), ["a.png"])[0].error == GONE
    assert thumbnails(Pictures.at(tmp_path), []) == []
