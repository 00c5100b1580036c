"""The pixels, remarks and errors of JPEG files are the same with simplejpeg and without."""

import io
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image, ImageFile

from uncertainty.errors import ImageError
from uncertainty.images.decoding import Least, Reading, decode
from uncertainty.images.formats import turbojpeg

pytest.importorskip("simplejpeg")


def photograph(width, height, mode="RGB", **options):
    rng = np.random.default_rng(width)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height))
    pixels = np.asarray(coarse).astype(int) + rng.integers(-9, 10, (height, width, 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def seen(data, **options):
    """Return pixels, sizes and remarks, or what is said of an image that can't be read."""
    try:
        found = decode(data, **options)
    except ImageError as error:
        return str(error)
    return found.pixels.tobytes(), found.pixels.shape, found.pixels.flags.writeable, astuple(found)[1:]


def both(monkeypatch, data, **options):
    quick = seen(data, **options)
    with monkeypatch.context() as patch:
        patch.setattr(turbojpeg, "_library", lambda: None)
        return quick, seen(data, **options)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_pixels_are_equal(monkeypatch, mode, subsampling, progressive):
    for width, height in ((1, 1), (7, 5), (33, 47), (250, 187)):
        data = photograph(width, height, mode, subsampling=subsampling, progressive=progressive)
        quick, usual = both(monkeypatch, data)
        assert quick == usual
        assert not isinstance(usual, str)


def test_most_files_are_decoded_by_it(monkeypatch):
    data = photograph(40, 30)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("Pillow decoded it"))
    assert decode(data).pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("reading", [Reading(), Reading(exif=False), Reading(exif=True), Reading(bands=(3, 2, 1))])
def test_orientation_and_bands_are_as_without_it(monkeypatch, reading):
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        quick, usual = both(monkeypatch, photograph(33, 20, exif=exif), reading=reading)
        assert quick == usual
        assert not isinstance(usual, str)


def test_files_that_are_decoded_in_part_are_as_without_it(monkeypatch):
    quick, usual = both(monkeypatch, photograph(200, 160), least=Least(40, 50))
    assert quick == usual
    assert usual[1] == (40, 50, 3)


def test_damaged_files_end_alike(monkeypatch):
    whole = photograph(64, 48)
    rng = np.random.default_rng(0)
    ends = set()
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(2, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(256)
        cut = data[: rng.integers(2, len(data))] if rng.random() < 0.3 else data
        quick, usual = both(monkeypatch, bytes(cut))
        assert quick == usual
        ends.add(type(usual))
    assert ends == {str, tuple}
