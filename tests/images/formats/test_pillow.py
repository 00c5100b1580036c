import io
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
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
    assert (decoded.pixels[:, :, 0] == (expected[:, :, 0] if colour else expected)).all()
    assert decoded.remarks == (f"deep:16:{bits}",)


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "grey"])
@pytest.mark.parametrize("format", ["png", "jpeg2k", "pixmap", "tiff"])
def test_twelve_bits_in_sixteen_are_read_right_where_the_spec_says_so(format, colour):
    values = (SMOOTH if colour else SMOOTH[:, :, 0]).astype(np.uint16) << 4
    values[0, 0] = 4095
    decoded = decode(deep(format, values), reading=Reading(bits=12))
    expected = SMOOTH.copy()
    expected[0, 0] = 255
    assert (decoded.pixels == expected).all()
    assert decoded.remarks == ()
    values[0, 0] = 4096
    with pytest.raises(ImageError, match=r"has integer pixels from \d+ to 4096, beyond 12 bit; say more than bits=12"):
        decode(deep(format, values), reading=Reading(bits=12))


def deep(format, values):
    if format == "tiff":
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, photometric="rgb" if values.ndim == 3 else "minisblack")
        return stream.getvalue()
    if format == "pixmap":
        return (b"P6" if values.ndim == 3 else b"P5") + b" 48 32 65535 " + values.astype(">u2").tobytes()
    options = {"level": 0} if format == "jpeg2k" else {}
    return bytes(getattr(imagecodecs, f"{format}_encode")(np.ascontiguousarray(values), **options))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_white_of_a_deep_jpeg_2000_is_white(bits):
    white = np.full((4, 4, 3), (1 << bits) - 1, np.uint16)
    data = bytes(imagecodecs.jpeg2k_encode(white, level=0, bitspersample=bits))
    for asked in (None, bits, 16):
        assert (decode(data, reading=Reading(bits=asked)).pixels == 255).all()


def test_what_is_white_in_a_pixmap_its_header_says():
    white = np.full((32, 48, 3), 4095, ">u2")
    for asked in (None, 12, 16):
        assert (decode(b"P6 48 32 4095 " + white.tobytes(), reading=Reading(bits=asked)).pixels == 255).all()


def test_deep_colours_turn_as_their_orientation_says_and_those_in_text_are_refused():
    values = SMOOTH.astype(np.uint16) << 4
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG", exif=exif)
    start = stream.getvalue().index(b"eXIf") - 4
    chunk = stream.getvalue()[start : stream.getvalue().index(b"IDAT") - 4]
    plain = bytes(imagecodecs.png_encode(values))
    for at in (33, len(plain) - 12):
        turned = decode(plain[:at] + chunk + plain[at:], reading=Reading(bits=12))
        assert (turned.pixels == np.rot90(SMOOTH, -1)).all()
        assert (turned.width, turned.height) == (32, 48)
    text = b"P3 48 32 65535 " + " ".join(map(str, values.ravel())).encode()
    with pytest.raises(ImageError, match="is a pixmap of deep colours written as text; store it as PNG or TIFF"):
        decode(text, reading=Reading(bits=12))
    with pytest.raises(ImageError, match="is truncated"):
        decode(deep("pixmap", values)[:-1], reading=Reading(bits=12))


def test_without_its_library_a_deep_jpeg_2000_is_refused(monkeypatch):
    data = deep("jpeg2k", SMOOTH.astype(np.uint16))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=r"is deep JPEG2000, of which .* install uncertainty-vision\[tiff\]"):
        decode(data)


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
