import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from uncertainty.errors import ImageError, ModelError
from uncertainty.images.decoding import Reading, decode, size

SMOOTH = np.stack([np.add.outer(np.arange(32) * 3, np.arange(48) * 2)] * 3, axis=2).astype(np.uint8)


def encoded(pixels, format, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [("AVIF", {"quality": 100}, 3), ("JPEG2000", {}, 0), ("TGA", {}, 0), ("TGA", {"compression": "tga_rle"}, 0)],
)
def test_formats_that_are_read_beside_the_usual_ones(format, options, tolerance):
    data = encoded(SMOOTH, format, **options)
    assert np.abs(decode(data).pixels.astype(int) - SMOOTH).max() <= tolerance
    assert size(data) == (48, 32)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "grey"])
@pytest.mark.parametrize("format", ["png", "jpeg2k"])
def test_deep_values_keep_their_high_byte_with_a_remark(format, bits, colour):
    values = (SMOOTH if colour else SMOOTH[:, :, 0]).astype(np.uint16)
    values[0, 0] = 255
    data = getattr(imagecodecs, f"{format}_encode")(
        values << (bits - 8), **({"level": 0} if format == "jpeg2k" else {})
    )
    decoded = decode(data)
    expected = ((values << (bits - 8)) >> 8).astype(int)
    rounding = int(format == "jpeg2k" and colour)  # OpenJPEG gives the nearest value
    assert np.abs(decoded.pixels[:, :, 0] - (expected[:, :, 0] if colour else expected)).max() <= rounding
    assert decoded.remarks in ((f"deep:16:{bits}",), (f"deep:16:{bits + rounding}",))


def test_bits_of_grey_are_used_and_those_of_colours_out_of_reach():
    grey = imagecodecs.png_encode(SMOOTH[:, :, 0].astype(np.uint16) << 4)
    assert (decode(grey, reading=Reading(bits=12)).pixels == SMOOTH[:, :, :1]).all()
    colour = imagecodecs.png_encode(SMOOTH.astype(np.uint16) << 4)
    with pytest.raises(ImageError, match="is PNG of 16-bit colours, whose low bits are out of reach; store it as TIFF"):
        decode(colour, reading=Reading(bits=12))


def test_a_pixmap_of_deep_colours_is_remarked():
    data = b"P6 48 32 65535 " + (SMOOTH.astype(np.uint16) << 4).byteswap().tobytes()
    assert decode(data).remarks == (f"deep:16:{int(SMOOTH.max()).bit_length() + 4}",)
    assert decode(b"P6 48 32 255 " + SMOOTH.tobytes()).remarks == ()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_of_several_frames_the_first_with_a_remark_or_the_one_asked_for(format):
    frames = [Image.new("RGB", (16, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:])
    data = stream.getvalue()
    assert decode(data).remarks == ("frames",)
    assert decode(data).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)
    third = decode(data, reading=Reading(frame=3))
    assert third.pixels[4, 4].tolist() == pytest.approx([0, 0, 255], abs=3)
    assert third.remarks == ()
    with pytest.raises(ImageError, match=r"has 3 \w+, and (frame|page) 4 is asked for"):
        decode(data, reading=Reading(frame=4))
    with pytest.raises(ImageError, match=r"has 1 \w+, and (frame|page) 2 is asked for"):
        decode(encoded(SMOOTH, "JPEG" if format == "MPO" else format), reading=Reading(frame=2))


def test_bands_of_colours_are_put_in_order():
    data = encoded(np.full((2, 2, 3), (1, 2, 3), np.uint8), "PNG")
    assert decode(data, reading=Reading(bands=(3, 2, 1))).pixels[0, 0].tolist() == [3, 2, 1]
    assert decode(data, reading=Reading(bands=(2,))).pixels[0, 0].tolist() == [2, 2, 2]
    with pytest.raises(ImageError, match="has one band, and bands=3,2,1 are asked for"):
        decode(encoded(np.zeros((2, 2), np.uint16), "PNG"), reading=Reading(bands=(3, 2, 1)))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS" + bytes(30), "Photoshop"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "a camera raw file"),
        (b"\0\0\0\x18ftypcrx " + bytes(30), "a camera raw file"),
        (b"FUJIFILMCCD-RAW 0201", "a camera raw file"),
    ],
)
def test_pictures_that_nothing_reads_are_called_by_name(start, name):
    with pytest.raises(ImageError, match=rf"^is {name}, which is not read; convert it to JPEG, PNG or TIFF$"):
        decode(start)
    with pytest.raises(ImageError, match=name):
        size(start)


@pytest.mark.parametrize("settings", [{"bits": 4}, {"bits": 64}, {"bands": (1, 2)}, {"bands": (0, 1, 2)}, {"frame": 0}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ModelError):
        Reading(**settings)
