"""Images of any number of bands: every reader gives the same values, and what can't be known is asked for."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from uncertainty.errors import ImageError, InputError, ModelError
from uncertainty.images.bands import Bands, Multiband, damaged, in_bands, upright
from uncertainty.images.corruptions import CORRUPTIONS, corrupt
from uncertainty.images.decoding import TO_SHOW, Reading, decode, decoded_to_show, digest_picture, size
from uncertainty.images.in_memory import from_array, held
from uncertainty.images.novelty import FOREIGN, random_foreign
from uncertainty.images.previews import previews
from uncertainty.images.quality import QUALITY_NAMES, quality
from uncertainty.images.sources import find_images

TILE = np.random.default_rng(0).integers(0, 3000, (24, 20, 13)).astype(np.uint16)
FIRST = np.ascontiguousarray(np.moveaxis(TILE, 2, 0))
THIRTEEN = Reading(multiband=Multiband(13))
ONE_PAGE = {"photometric": "minisblack", "planarconfig": "contig"}


def tiff(values, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def npy(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


READERS = {
    "one page": lambda: decode(tiff(TILE, **ONE_PAGE), reading=THIRTEEN),
    "tiles, LZW": lambda: decode(tiff(TILE, **ONE_PAGE, compression="lzw", tile=(16, 16)), reading=THIRTEEN),
    "deflate, predictor": lambda: decode(tiff(TILE, **ONE_PAGE, compression="zlib", predictor=2), reading=THIRTEEN),
    "big": lambda: decode(tiff(TILE, **ONE_PAGE, bigtiff=True, byteorder=">"), reading=THIRTEEN),
    "planes": lambda: decode(tiff(FIRST, photometric="minisblack", planarconfig="separate"), reading=THIRTEEN),
    "a page a band": lambda: decode(tiff(FIRST, photometric="minisblack"), reading=THIRTEEN),
    "a page a row": lambda: decode(tiff(TILE, photometric="minisblack"), reading=THIRTEEN),  # tifffile's own choice
    "npy": lambda: decode(npy(TILE), reading=THIRTEEN),
    "npy, bands first": lambda: decode(npy(FIRST), reading=THIRTEEN),
    "npy, by column": lambda: decode(npy(np.asfortranarray(TILE)), reading=THIRTEEN),
    "npz": lambda: decode(npz(tile=TILE), reading=THIRTEEN),
    "array": lambda: from_array(TILE, THIRTEEN),
    "array, bands first": lambda: from_array(FIRST, THIRTEEN),
    "tensor": lambda: from_array(held(torch.from_numpy(FIRST.astype(np.int32)), THIRTEEN), THIRTEEN, last=True),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_gives_the_values_as_they_are_stored(reader):
    image = READERS[reader]()
    np.testing.assert_array_equal(image.bands.values, TILE.astype(np.float32))
    assert (image.width, image.height, image.pixels.shape) == (20, 24, (24, 20, 3))
    assert image.bands.values.dtype == np.float32


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_numbers_of_every_kind(kind):
    values = (TILE % 200).astype(kind)
    image = decode(tiff(values, **ONE_PAGE), reading=Reading(multiband=Multiband(13, white=255)))
    np.testing.assert_array_equal(image.bands.values, values)
    assert image.bands.values.dtype == (np.uint8 if kind == np.uint8 else np.float32)


def test_white_is_what_the_type_holds_or_what_is_said():
    whites = [from_array(TILE.astype(kind), THIRTEEN).bands.white for kind in (np.uint16, np.uint8, np.int16)]
    assert whites == [65535, 255, 32767]
    assert from_array(TILE.astype(np.float32) / 10000, THIRTEEN).bands.white == 1
    assert from_array(TILE, Reading(bits=12, multiband=Multiband(13))).bands.white == 4095
    image = from_array(np.full((2, 2, 4), 2500, np.uint16), Reading(multiband=Multiband(4, white=10000)))
    assert (image.pixels == 128).all()  # the square root of a quarter
    assert from_array(TILE, THIRTEEN).remarks == ("deep:16:12",)


def test_white_of_wide_numbers_is_the_same_in_every_format():
    wide = TILE.astype(np.int32)
    whites = [decode(data, reading=THIRTEEN).bands.white for data in (npy(wide), tiff(wide, **ONE_PAGE))]
    assert whites == [65535, 65535]


def header(shape, text=None):
    head = io.BytesIO()
    told = {"descr": "|u1", "fortran_order": False, "shape": shape}
    if text is None:
        np.lib.format.write_array_header_1_0(head, told)
        return head.getvalue()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def test_a_small_file_can_not_become_large():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("tile.npy", "w") as member:
        member.write(header((10**6, 10**6, 13)))
        for _ in range(64):
            member.write(bytes(1 << 20))
    tracemalloc.start()
    assert "more than the limit" in refused(packed.getvalue())
    assert size(packed.getvalue()) == (10**6, 10**6)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert "header of 2,147,483,648 bytes" in refused(b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little"))


def test_headers_that_say_nonsense():
    rest = bytes(13 * 64)
    assert "is an array of shape (-1, 8, 13)" in refused(header((-1, 8, 13)) + rest)
    assert "is truncated" in refused(header((8, 8, 13))[:40])
    for text in (b"(" * 5000, b"open('x')", b"{'descr': 'zz9', 'fortran_order': False, 'shape': (8, 8, 13)}"):
        assert refused(header(None, text) + rest) == "has a header that is none of NumPy"


def test_values_that_no_float_holds_are_refused_quietly():
    for values in (np.full((4, 4, 13), 1e300), np.resize([np.inf, -np.inf], (4, 4, 13)), np.full((4, 4, 13), np.nan)):
        assert "NaN or infinite" in refused(npy(values))
        with pytest.raises(ImageError, match="takes pictures of 8 bits"):
            decoded_to_show(npy(values))


def test_which_bands_are_taken_and_shown():
    reading = Reading(bands=(2, 8), multiband=Multiband(2, show=(4, 3, 2)))
    image = decode(tiff((TILE % 256).astype(np.uint8), **ONE_PAGE), reading=reading)
    np.testing.assert_array_equal(image.bands.values, (TILE % 256)[:, :, [1, 7]])
    np.testing.assert_array_equal(image.pixels, (TILE % 256)[:, :, [3, 2, 1]])
    two = from_array((TILE % 256).astype(np.uint8)[:, :, :2], Reading(multiband=Multiband(2)))
    np.testing.assert_array_equal(two.pixels, np.repeat((TILE % 256)[:, :, :1], 3, axis=2))


def refused(data, reading=THIRTEEN):
    with pytest.raises(ImageError) as caught:
        decode(data, reading=reading) if isinstance(data, bytes) else from_array(data, reading)
    return str(caught.value)


def test_what_can_not_be_read_says_why():
    assert "has 13 bands, and the network takes 5" in refused(tiff(TILE, **ONE_PAGE), Reading(multiband=Multiband(5)))
    assert "band 14 is asked for" in refused(tiff(TILE, **ONE_PAGE), Reading(bands=(1, 14), multiband=Multiband(2)))
    assert "say axes=hwc or chw" in refused(np.zeros((4, 9, 4), np.uint8), Reading(multiband=Multiband(4)))
    assert "4 bands are asked for, which neither end is" in refused(TILE, Reading(multiband=Multiband(4)))
    assert "say axes=" in refused(TILE, Reading(bands=(1, 2), multiband=Multiband(2)))  # of how many, nobody knows
    assert "NaN" in refused(np.full((4, 4, 13), np.nan))
    assert "far beyond the 1 that is white" in refused(TILE.astype(np.float32))
    assert "is an array of shape (13,)" in refused(npy(np.zeros(13)))
    assert "holds 2 arrays (tile, mask)" in refused(npz(tile=TILE, mask=TILE))
    assert "is truncated" in refused(npy(TILE)[:-5])
    assert "could run code" in refused(npy(np.array([[None]], dtype=object)))
    assert "has 3 bands, and the network takes 13" in refused(png(Image.new("RGB", (8, 8))))
    assert "complex" in refused(np.zeros((4, 4, 13), complex))
    assert "takes pictures of 8 bits" in refused(npy(TILE), Reading())
    assert "2 bands of 8 bit" in refused(tiff(np.zeros((9, 9, 2), np.uint8), **ONE_PAGE), Reading())


def test_axes_are_said_where_they_are_ambiguous():
    cube = np.arange(4 * 9 * 4, dtype=np.uint8).reshape(4, 9, 4)
    last = from_array(cube, Reading(axes="hwc", multiband=Multiband(4)))
    first = from_array(cube, Reading(axes="chw", multiband=Multiband(4)))
    np.testing.assert_array_equal(last.bands.values, cube)
    np.testing.assert_array_equal(first.bands.values, np.moveaxis(cube, 0, 2))
    with pytest.raises(ModelError, match="axes is 'whc'"):
        Reading(axes="whc")


@pytest.mark.parametrize(("mode", "bands"), [("RGBA", 4), ("RGB", 3), ("LA", 2), ("L", 1), ("I;16", 1), ("P", 3)])
def test_pictures_have_the_bands_that_they_store(mode, bands):
    image = Image.new(mode, (6, 4))
    reading = Reading(multiband=Multiband(bands))
    found = decode(png(image), reading=reading).bands.values
    np.testing.assert_array_equal(found, from_array(held(image, reading), reading, last=True).bands.values)
    assert found.shape == (4, 6, bands)


def test_alpha_of_a_tile_is_a_band():
    values = np.random.default_rng(1).integers(0, 256, (9, 8, 4), np.uint8)
    data = tiff(values, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(decode(data, reading=Reading(multiband=Multiband(4))).bands.values, values)


def test_turned_as_pillow_turns():
    values = np.random.default_rng(2).integers(0, 256, (3, 5, 3), np.uint8)
    for orientation in range(9):
        stream, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(values).save(stream, "PNG", exif=exif)
        np.testing.assert_array_equal(upright(values, orientation), decode(stream.getvalue()).pixels)


def test_damage_of_every_kind_is_borne():
    for count in (1, 2, 4, 13):
        for values in (TILE[:, :, :count].astype(np.float32), (TILE[:, :, :count] % 256).astype(np.uint8)):
            for kind in CORRUPTIONS:
                found = damaged(Bands(values, 10000.0), lambda pixels, kind=kind: corrupt(pixels, kind, 0.9, 3)).values
                assert (found.shape, found.dtype) == (values.shape, values.dtype)
                assert np.isfinite(found).all()
                assert (found != values).any()
            for kind in FOREIGN:
                found = damaged(Bands(values, 1.0), lambda pixels, kind=kind: random_foreign(pixels, "a", 0, [kind])[0])
                assert found.values.shape == values.shape


def test_damage_that_does_nothing_loses_little():
    values = np.random.default_rng(3).uniform(-25, 3, (9, 9, 5)).astype(np.float32)  # decibel of a radar
    found = damaged(Bands(values, 1.0), lambda pixels: pixels).values
    assert np.abs(found - values).max() < 0.12  # of 28: steps of the root at its upper end
    moved = damaged(Bands(values, 1.0), lambda pixels: pixels[::-1]).values
    np.testing.assert_allclose(moved, found[::-1])


def test_statistics_are_of_the_shown_picture_and_know_no_colours():
    image = decode(tiff(TILE, **ONE_PAGE), reading=THIRTEEN)
    found = dict(zip(QUALITY_NAMES, quality(image), strict=True))
    assert found["saturation"] == 0
    assert np.isfinite(list(found.values())).all()


def test_pictures_that_differ_in_a_band_that_is_not_shown_are_two():
    other = TILE.copy()
    other[0, 0, 12] += 1
    first, second = (from_array(values, THIRTEEN) for values in (TILE, other))
    assert digest_picture(first, first.pixels, b"") != digest_picture(second, second.pixels, b"")


def test_anything_can_be_shown(tmp_path):
    assert decoded_to_show(tiff(TILE, **ONE_PAGE)).pixels.mean() > 60  # by its own values, and not nearly black
    assert decode(npy(TILE.astype(float)), reading=TO_SHOW).pixels.shape == (24, 20, 3)
    with pytest.raises(ImageError, match="is truncated"):
        decoded_to_show(npy(TILE)[:-1])
    names = ["0", "1"]
    from uncertainty.images.given import image_items

    shown = previews(image_items([torch.from_numpy(FIRST.astype(np.int32)), torch.zeros(5, 6, 7)]), names)
    assert [one.size for one in shown] == [(20, 24), (7, 6)]
    assert [one.size for one in previews(image_items(TILE), [image_items(TILE)[0].name])] == [(20, 24)]


def test_folders_of_arrays_are_images_where_nothing_else_is(tmp_path):
    for name in ("a/1.npy", "b/2.npz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(npy(TILE) if name.endswith("npy") else npz(tile=FIRST))
    found = find_images(tmp_path)
    assert (list(found.names), list(found.labelled().labels)) == (["a/1.npy", "b/2.npz"], ["a", "b"])
    assert [decode(one.data, reading=THIRTEEN).bands.values[3, 4, 5] for one in found] == [TILE[3, 4, 5]] * 2
    assert list(find_images(tmp_path / "a/1.npy").names) == ["1.npy"]
    assert size(npy(TILE)) == size(npy(FIRST)) == (20, 24)
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.png")
    assert list(find_images(tmp_path).names) == ["picture.png"]


def test_packed_arrays_of_bands(tmp_path):
    np.savez(tmp_path / "a.npz", train_images=np.stack([TILE, TILE + 1]), train_labels=np.array([[1], [0]]))
    found = find_images(tmp_path / "a.npz")
    values = [decode(one.data, reading=THIRTEEN).bands.values[0, 0, 0] for one in found]
    assert (values, list(found.labels)) == ([TILE[0, 0, 0], TILE[0, 0, 0] + 1], [1, 0])


def test_packed_arrays_that_lack_what_they_declare(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", header((1 << 40, 8, 8)) + bytes(64))
    with pytest.raises(InputError, match="is truncated: it lacks some of 1,099,511,627,776 images"):
        find_images(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("train_images.npy", header(None, b"open('x')"))
    with pytest.raises(InputError, match=r"b\.npz has train_images\.npy, which has a header that is none of NumPy"):
        find_images(tmp_path / "b.npz")


def test_settings_that_can_not_be():
    with pytest.raises(ModelError, match="show is"):
        Multiband(4, show=(1, 2))
    with pytest.raises(ModelError, match="give the 4 of the network"):
        Reading(bands=(1, 2), multiband=Multiband(4))
    reading = Reading(bands=(2, 3, 4, 8), axes="chw", multiband=Multiband(4, white=10000.0, show=(4, 3, 2)))
    assert Reading.from_dict(reading.to_dict()) == reading
    assert Reading.from_dict({"multiband": 3}) == Reading.from_dict(None) == Reading()
    with pytest.raises(ImageError, match="band 9 is asked for"):
        in_bands(TILE[:, :, :4], Multiband(4, show=(9, 2, 1)))
