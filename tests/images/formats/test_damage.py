"""Whatever is wrong with a file, it is one image that can't be read: no other error, no warning, no hanging."""

import contextlib
import io

import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from images.formats.test_dicom import scan
from uncertainty.errors import ImageError
from uncertainty.images.decoding import decode, size

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257


def saved(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


FILES = {
    "heic": saved(lambda s: pillow_heif.from_pillow(Image.fromarray(PIXELS)).save(s)),
    "avif": saved(lambda s: Image.fromarray(PIXELS).save(s, "AVIF")),
    "jp2": saved(lambda s: Image.fromarray(PIXELS).save(s, "JPEG2000")),
    "tga": saved(lambda s: Image.fromarray(PIXELS).save(s, "TGA", compression="tga_rle")),
    "qoi": saved(lambda s: Image.fromarray(PIXELS).save(s, "QOI")),
    "dicom": scan(DEEP[:, :, 0] >> 4, WindowCenter=2048, WindowWidth=4096),
    "tiff16": saved(lambda s: tifffile.imwrite(s, DEEP, photometric="rgb", compression="zlib")),
    "tiff planes": saved(
        lambda s: tifffile.imwrite(s, np.moveaxis(DEEP, 2, 0), photometric="rgb", planarconfig="separate")
    ),
    "bigtiff": saved(lambda s: tifffile.imwrite(s, DEEP, photometric="rgb", bigtiff=True, byteorder=">")),
}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_damage_is_an_image_error_or_an_image(name, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(FILES[name])
    for _ in range(int(rng.integers(1, 20))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    data = bytes(data[: int(rng.integers(1, len(data) + 1))])
    with contextlib.suppress(ImageError):
        assert decode(data, max_pixels=10**6).pixels.ndim == 3
    with contextlib.suppress(ImageError):
        assert len(size(data, max_pixels=10**6)) == 2
