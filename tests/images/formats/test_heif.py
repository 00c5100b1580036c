import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from uncertainty.errors import ImageError
from uncertainty.images.decoding import Reading, decode, size

SMOOTH = np.stack([np.add.outer(np.arange(32) * 3, np.arange(48) * 2)] * 3, axis=2).astype(np.uint8)


def heic(*images, **options):
    file = pillow_heif.HeifFile()
    for image in images:
        file.add_from_pillow(Image.fromarray(image))
    stream = io.BytesIO()
    file.save(stream, quality=-1, **options)
    return stream.getvalue()


def test_a_telephones_photograph_is_read():
    decoded = decode(heic(SMOOTH))
    assert np.abs(decoded.pixels.astype(int) - SMOOTH).max() <= 2
    assert (decoded.width, decoded.height) == (48, 32) == size(heic(SMOOTH))
    assert not decoded.remarks


def test_it_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = pillow_heif.HeifFile()
    file.add_frombytes("RGB", (48, 32), SMOOTH.tobytes())
    file[0].info["exif"] = exif.tobytes()
    stream = io.BytesIO()
    file.save(stream, quality=-1)
    decoded = decode(stream.getvalue())
    assert np.abs(decoded.pixels.astype(int) - np.rot90(SMOOTH, -1)).max() <= 2


def test_several_images_are_remarked_and_one_can_be_chosen():
    data = heic(SMOOTH, 255 - SMOOTH)
    assert decode(data).remarks == ("frames",)
    assert np.abs(decode(data, reading=Reading(frame=2)).pixels.astype(int) - (255 - SMOOTH)).max() <= 2
    with pytest.raises(ImageError, match="has 2 images, and frame 3 is asked for"):
        decode(data, reading=Reading(frame=3))


@pytest.mark.parametrize("mode", ["RGB;16", "I;16"])
def test_ten_bits_become_eight(mode):
    deep = SMOOTH.astype(np.uint16) * 257 if mode == "RGB;16" else SMOOTH[:, :, 0].astype(np.uint16) * 257
    stream = io.BytesIO()
    pillow_heif.encode(mode=mode, size=(48, 32), data=deep.tobytes(), fp=stream, quality=-1)
    decoded = decode(stream.getvalue())
    assert np.abs(decoded.pixels.astype(int) - SMOOTH).max() <= 3


def test_the_limit_of_pixels_and_damage():
    with pytest.raises(ImageError, match=r"has 1,536 pixels, more than the limit of 1,000"):
        decode(heic(SMOOTH), max_pixels=1000)
    with pytest.raises(ImageError):
        decode(heic(SMOOTH)[:200])


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"is a HEIC image; install uncertainty-vision\[heif\] to read it"):
        decode(heic_of_nothing())


def heic_of_nothing():
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
