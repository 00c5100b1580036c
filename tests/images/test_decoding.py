import contextlib
import io
import os
import resource
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from uncertainty.errors import ImageError
from uncertainty.images import decoding
from uncertainty.images.decoding import (
    IMAGE_SUFFIXES,
    Least,
    Reading,
    decode,
    digest,
    digest_pixels,
    is_image_name,
    read,
)


def encoded(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def photo(width=48, height=32):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5 % 256, y * 7 % 256, (x + y) * 3 % 256], axis=2).astype(np.uint8)


def reason(data, **options):
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 200
    return text


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_back_the_pixels(format):
    decoded = decode(encoded(Image.fromarray(photo()), format))
    assert (decoded.pixels == photo()).all()
    assert (decoded.width, decoded.height) == (48, 32)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_formats_give_nearly_the_pixels(format):
    flat = np.full((40, 24, 3), (200, 100, 50), np.uint8)
    assert np.abs(decode(encoded(Image.fromarray(flat), format)).pixels.astype(int) - flat).max() <= 4


def test_pixels_can_be_written_to_so_that_torch_does_not_warn():
    pixels = decode(encoded(Image.fromarray(photo()))).pixels
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    assert pixels.dtype == np.uint8


def test_a_path_and_its_bytes_are_the_same_image(tmp_path):
    path = tmp_path / 'käse \'n\n"wine".png'
    path.write_bytes(encoded(Image.fromarray(photo())))
    assert (decode(path).pixels == decode(path.read_bytes()).pixels).all()
    assert digest(path) == digest(path.read_bytes())


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(format):
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    pixels = decode(encoded(Image.fromarray(values), format)).pixels
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert (pixels == pixels[:, :, :1]).all()


def test_32_bit_integers_beyond_16_bit_and_floats_are_refused():
    assert "from 0 to 70000" in reason(encoded(Image.fromarray(np.array([[0, 70_000]], np.int32)), "TIFF"))
    assert "floating-point" in reason(encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"))


def test_cmyk_is_converted():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = decode(encoded(cmyk, "TIFF")).pixels
    assert (red == [255, 0, 0]).all()
    assert np.abs(decode(encoded(cmyk, "JPEG")).pixels.astype(int) - [255, 0, 0]).max() <= 4


def test_palette_with_transparent_entries_keeps_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    pixels = decode(encoded(image, transparency=bytes([0, 128]))).pixels
    assert pixels.tolist() == [[[10, 20, 30], [200, 100, 50]]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [("RGBA", (9, 8, 7, 0), [9, 8, 7]), ("LA", (77, 0), [77] * 3), ("L", 5, [5] * 3), ("1", 1, [255] * 3)],
)
def test_alpha_is_dropped_and_grey_repeated(mode, colour, expected):
    pixels = decode(encoded(Image.new(mode, (3, 2), colour))).pixels
    assert pixels.shape == (2, 3, 3)
    assert (pixels == expected).all()


@pytest.mark.parametrize("key", [(9, 8, 7), None])
def test_a_transparent_colour_is_ignored(key):
    options = {} if key is None else {"transparency": key}
    assert decode(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), **options)).pixels.tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(format):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert (decode(data).pixels == [255, 0, 0]).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_as_pillow_does(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(Image.fromarray(photo()), format, exif=exif, **options)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    decoded = decode(data)
    assert (decoded.pixels == expected).all()
    assert (decoded.width, decoded.height) == ((32, 48) if orientation > 4 else (48, 32))


def test_a_damaged_exif_block_costs_nothing_and_warns_nobody():
    data = encoded(Image.fromarray(photo()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode(data).pixels.shape == (32, 48, 3)


def test_one_pixel():
    assert decode(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))).pixels.tolist() == [[[1, 2, 3]]]


def test_empty_and_foreign_files(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert reason(tmp_path / "empty.jpg") == "is empty (0 bytes)"
    assert reason(b"") == "is empty (0 bytes)"
    assert reason(b"hello, I am a text").startswith("cannot identify the format")
    assert reason(b"\x89PNG\r\n\x1a\n").startswith("cannot identify the format")


def test_only_the_listed_formats_are_tried():
    assert reason(encoded(Image.fromarray(photo()), "ICO")).startswith("cannot identify the format")
    assert reason(encoded(Image.fromarray(photo()), "EPS")).startswith("cannot identify the format")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM"])
def test_a_file_cut_in_the_middle_is_truncated(format):
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), format)
    # TIFF keeps its directory at the end.
    text = reason(data[: len(data) // 2])
    assert text == "is truncated" or (format == "TIFF" and text)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
@given(seed=st.integers(0, 2**32 - 1))
def test_any_damage_is_an_image_error_or_an_image(format, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(Image.fromarray(photo()), format))
    for _ in range(int(rng.integers(1, 20))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    # Any other error, and any warning, fails the test.
    with contextlib.suppress(ImageError):
        assert decode(bytes(data[: int(rng.integers(1, len(data) + 1))]), max_pixels=10**6).pixels.ndim == 3


def test_missing_folder_and_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "none.jpg") == "does not exist"
    assert reason(tmp_path) == "is not a regular file"
    assert reason(tmp_path / "pipe.jpg") == "is not a regular file"
    with pytest.raises(ImageError, match="does not exist"):
        digest(tmp_path / "none.jpg")


def test_no_permission(monkeypatch, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path / "a.jpg"))

    monkeypatch.setattr("builtins.open", refuse)
    assert reason(tmp_path / "a.jpg") == "can't be read (Permission denied)"


def test_too_many_pixels_are_refused_from_the_header():
    image = Image.new("1", (100, 50))
    assert reason(encoded(image), max_pixels=4_999) == "has 5,000 pixels, more than the limit of 4,999"
    assert decode(encoded(image), max_pixels=5_000).width == 100


def test_20000_x_20000_pixels_are_refused_with_little_memory(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    program = (
        "import resource, sys; from pathlib import Path; from uncertainty.images.decoding import decode, ImageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decode(Path(sys.argv[1]))\n"
        "except ImageError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    out = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout
    said, kilobytes = out.splitlines()
    assert said == "has 400,000,000 pixels, more than the limit of 50,000,000"
    assert int(kilobytes) < 20_000


def test_pillows_warning_zone_is_refused_without_a_warning():
    header = struct.pack(">II5B", 10_000, 10_000, 1, 0, 0, 0, 0)
    data = encoded(Image.new("1", (1, 1)))
    import zlib

    chunk = b"IHDR" + header
    data = data[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    assert reason(data) == "has 100,000,000 pixels, more than the limit of 50,000,000"


def test_threads_leave_the_warning_filters_as_they_were():
    data = encoded(Image.fromarray(photo()))
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert len({digest_pixels(d.pixels) for d in pool.map(decode, [data] * 200)}) == 1
    assert list(warnings.filters) == before


def test_names():
    assert all(is_image_name(f"a{suffix.upper()}") for suffix in IMAGE_SUFFIXES)
    assert not any(is_image_name(name) for name in ("a", "jpg", ".jpg", "a.jpg.txt", "a.svg", "a.jpgx", ""))
    assert is_image_name(Path("x") / "y.JpEg")


def test_digests_differ_where_contents_do():
    a = photo()
    b = a.copy()
    b[0, 0, 0] ^= 1
    assert len({digest_pixels(x) for x in (a, b, a.astype(np.int16), a.transpose(1, 0, 2), a[:, ::-1])}) == 5
    assert digest(b"a") != digest(b"b")
    assert all(len(x) == 16 for x in (digest(b"a"), digest_pixels(a)))


def test_large_files_are_hashed_in_pieces(tmp_path):
    path = tmp_path / "large.png"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(digest(path)) == 16
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32_000


def smooth_jpeg(width, height, **options):
    """A smooth JPEG with a bright left upper corner."""
    across, down = np.linspace(255, 0, width), np.linspace(255, 0, height)
    pixels = np.stack([np.add.outer(down, across) / 2] * 3, axis=2).astype(np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG", quality=95, **options)


@pytest.mark.parametrize(
    ("size", "least", "decoded"),
    [
        ((1600, 1200), Least(150, 200), (200, 150)),
        ((1600, 1200), Least(151, 200), (400, 300)),
        ((1600, 1200), Least(100, 201), (400, 300)),
        ((1200, 1600), Least(300, 400), (300, 400)),
        ((1600, 1200), Least(601, 0), (1600, 1200)),
        ((1601, 1203), Least(600, 800), (801, 602)),
        ((90, 60), Least(64, 64), (90, 60)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(size, least, decoded):
    found = decode(smooth_jpeg(*size), least=least)
    assert found.pixels.shape == (decoded[1], decoded[0], 3)
    assert (found.width, found.height) == size
    whole = Image.fromarray(decode(smooth_jpeg(*size)).pixels).resize(decoded, Image.Resampling.BOX)
    assert np.abs(np.asarray(whole, dtype=int) - found.pixels).mean() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_its_size_keeps_orientation_and_sides(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = smooth_jpeg(800, 600, exif=exif)
    whole, part = decode(data), decode(data, least=Least(100, 100))
    assert (part.width, part.height) == (whole.width, whole.height) == (whole.pixels.shape[1], whole.pixels.shape[0])
    assert part.pixels.shape[0] * 4 == whole.pixels.shape[0]
    assert np.abs(part.pixels.astype(int) - whole.pixels[2::4, 2::4]).mean() < 3


def test_only_a_jpeg_has_parts_of_its_size():
    assert decode(encoded(Image.new("RGB", (800, 600))), least=Least(10, 10)).pixels.shape == (600, 800, 3)


def test_the_limit_of_pixels_is_that_of_the_file():
    with pytest.raises(ImageError, match="480,000 pixels, more than the limit of 400,000"):
        decode(smooth_jpeg(800, 600), max_pixels=400_000, least=Least(10, 10))


def test_a_file_is_read_whole_unless_it_is_very_large(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"12345")
    assert read(tmp_path / "a.jpg") == b"12345"
    monkeypatch.setattr(decoding, "_MOST_BYTES", 4)
    assert read(tmp_path / "a.jpg") == tmp_path / "a.jpg"
    with pytest.raises(ImageError, match="does not exist"):
        read(tmp_path / "b.jpg")


@pytest.mark.parametrize("ending", ["JPEG", "PNG"])
def test_an_orientation_is_left_where_that_is_said_and_told_where_nothing_is(ending):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(photo()), ending, exif=exif)
    stored, told, silent = (decode(data, reading=Reading(exif=asked)) for asked in (False, None, True))
    assert stored.pixels.shape[:2] == (stored.height, stored.width) == photo().shape[:2]
    np.testing.assert_array_equal(np.rot90(stored.pixels, -1), told.pixels)
    np.testing.assert_array_equal(told.pixels, silent.pixels)
    assert [one.remarks for one in (stored, told, silent)] == [(), ("turned",), ()]
