"""TIFF of every kind that tifffile writes: read as it is meant, or refused by name; never wrong without a word."""

import io
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image

from uncertainty.errors import ImageError
from uncertainty.images.decoding import Reading, decode, size
from uncertainty.images.formats import tiff

HEIGHT, WIDTH = 19, 33
EIGHT = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 5), np.uint8)
SIXTEEN = EIGHT.astype(np.uint16) * 256 + 77


def written(values, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def stored(values, planar):
    if values.shape[2] == 1:
        return values[:, :, 0]
    return np.moveaxis(values, 2, 0) if planar == "separate" else values


def refused(data, **options):
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    return str(caught.value)


COMPRESSIONS = ("none", "lzw", "deflate", "packbits", "zstd", "lzma")
KINDS = [
    kind
    for kind in product(
        *(("u1", "u2"), (1, 3, 4), ("contig", "separate"), "<>", (None, (16, 16)), (False, True)), COMPRESSIONS
    )
    if kind[1:3] != (1, "separate") and (kind[5], kind[6]) != (True, "none")
]


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_every_kind_is_right_or_asked_about(photometric):
    wrong, read = [], 0
    for kind in KINDS:
        depth, samples, planar, order, tile, predictor, compression = kind
        if (photometric == "rgb") == (samples == 1) or (photometric == "miniswhite" and samples > 1):
            continue
        options = {"planarconfig": planar} if samples > 1 else {}
        options |= {
            "tile": tile,
            "predictor": predictor or None,
            "compression": None if compression == "none" else compression,
        }
        values = (EIGHT if depth == "u1" else SIXTEEN)[:, :, :samples]
        data = written(stored(values, planar), photometric=photometric, byteorder=order, **options)
        expected = EIGHT[:, :, :3] if samples > 1 else EIGHT[:, :, [0, 0, 0]]
        expected = 255 - expected if photometric == "miniswhite" else expected
        read += 1
        if not (decode(data).pixels == expected).all():
            wrong.append(kind)
    assert not wrong
    assert read >= 80


@pytest.mark.parametrize("samples", [2, 3, 4, 5])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("values", [EIGHT, SIXTEEN], ids=["8", "16"])
def test_bands_of_no_colour_are_asked_about_and_then_read(samples, planar, values):
    data = written(stored(values[:, :, :samples], planar), planarconfig=planar)
    assert f"has {samples} bands of" in refused(data)
    assert "bands=1,2,3" in refused(data)
    assert (decode(data, reading=Reading(bands=(2,))).pixels == EIGHT[:, :, [1, 1, 1]]).all()
    if samples >= 3:
        assert (decode(data, reading=Reading(bands=(3, 1, 2))).pixels == EIGHT[:, :, [2, 0, 1]]).all()
    assert f"band {samples + 1} is asked for" in refused(data, reading=Reading(bands=(samples + 1,)))


def test_a_fourth_band_beside_red_green_and_blue_is_left_out():
    data = written(SIXTEEN[:, :, :4], photometric="rgb", extrasamples=["unspecified"])
    assert (decode(data).pixels == EIGHT[:, :, :3]).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_content_of_fewer_bits_is_remarked_and_read_right_when_it_is_told(bits):
    values = (EIGHT[:, :, 0].astype(np.uint16) << (bits - 8)) + 1
    data = written(values)
    assert decode(data).remarks == (f"deep:16:{bits}",)
    told = decode(data, reading=Reading(bits=bits))
    assert (told.pixels[:, :, 0] == EIGHT[:, :, 0]).all()
    assert not told.remarks
    inverted = decode(written(values, photometric="miniswhite"), reading=Reading(bits=bits)).pixels
    assert (inverted[:, :, 0] == 255 - EIGHT[:, :, 0]).all()
    assert f"say more than bits={bits - 1}" in refused(data, reading=Reading(bits=bits - 1))


@pytest.mark.parametrize("dtype", [np.uint32, np.int16, np.int32])
def test_other_integers_are_16_bits_where_they_fit(dtype):
    data = written((EIGHT[:, :, 0] // 2).astype(dtype) * 256 + 77)
    assert (decode(data).pixels[:, :, 0] == EIGHT[:, :, 0] // 2).all()
    assert "from -5 to" in refused(written(np.array([[-5, 7]], np.int16)))
    assert "from 0 to 70000, beyond 16 bit" in refused(written(np.array([[0, 70_000]], np.uint32)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_refused_by_name(dtype):
    assert "floating-point" in refused(written(np.ones((3, 4), dtype)))


@pytest.mark.parametrize("order", "<>")
def test_big_tiff(order):
    data = written(SIXTEEN[:, :, :3], photometric="rgb", bigtiff=True, byteorder=order)
    assert (decode(data).pixels == EIGHT[:, :, :3]).all()
    assert size(data) == (WIDTH, HEIGHT)


def test_pages_are_remarked_and_one_can_be_chosen():
    pages = np.stack([SIXTEEN[:, :, 0], SIXTEEN[:, :, 1]])
    for data in (written(pages), written((pages >> 8).astype(np.uint8))):
        assert "frames" in decode(data).remarks
        assert "has 2 " in refused(data, reading=Reading(frame=3))
    second = decode(written(pages), reading=Reading(frame=2))
    assert (second.pixels[:, :, 0] == EIGHT[:, :, 1]).all()
    assert "frames" not in second.remarks
    eight = decode(written((pages >> 8).astype(np.uint8)), reading=Reading(frame=2))
    assert (eight.pixels[:, :, 0] == EIGHT[:, :, 1]).all()


def test_a_small_copy_on_the_first_page_is_not_taken_for_the_picture():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(EIGHT[::2, ::2, 0], photometric="minisblack", subfiletype=1)
        file.write(EIGHT[:, :, 0], photometric="minisblack")
    assert "begins with a small copy of the picture" in refused(stream.getvalue())
    assert decode(stream.getvalue(), reading=Reading(frame=2)).width == WIDTH


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_at_any_depth(orientation):
    tag = [(274, "H", 1, orientation, True)]
    deep = decode(written(SIXTEEN[:, :, :3], photometric="rgb", planarconfig="contig", extratags=tag))
    flat = decode(written(EIGHT[:, :, :3], photometric="rgb", planarconfig="contig", extratags=tag))
    assert (deep.pixels == flat.pixels).all()
    assert (deep.width, deep.height) == (flat.width, flat.height)


def test_without_tifffile_the_same_pixels_or_a_name_of_the_extra(monkeypatch):
    same = [written(SIXTEEN[:, :, 0]), written(SIXTEEN[:, :, :3], photometric="rgb")]
    others = [
        written(SIXTEEN[:, :, 0], photometric="miniswhite"),
        written(stored(SIXTEEN[:, :, :3], "separate"), photometric="rgb", planarconfig="separate"),
        written(EIGHT[:, :, 0], compression="packbits", predictor=True),
        written(SIXTEEN[:, :, :3], photometric="rgb", bigtiff=True, byteorder=">"),
    ]
    with_it = [decode(data) for data in same]
    monkeypatch.setattr(tiff, "_tifffile", lambda: None)
    for data, before in zip(same, with_it, strict=True):
        assert (decode(data).pixels == before.pixels).all()
        assert decode(data).remarks == before.remarks
    assert all("install uncertainty-vision[tiff]" in refused(data) for data in others)


def test_many_bands_count_towards_the_limit_of_pixels():
    data = written(stored(SIXTEEN, "separate"), planarconfig="separate")
    assert "627 pixels of 5 bands, more than the limit" in refused(data, max_pixels=700, reading=Reading(bands=(1,)))


def test_transparency_beside_grey_is_no_band():
    stream = io.BytesIO()
    Image.fromarray(EIGHT[:, :, :2], "LA").save(stream, "TIFF")
    assert (decode(stream.getvalue()).pixels == EIGHT[:, :, [0, 0, 0]]).all()
