#!/usr/bin/env bash
# tifffile 2026.3.3: imwrite of an array (h, w, bands) makes one page with several samples a pixel of 3 and 4 bands, and of
# 2, 5 or 13 as many pages as the image has rows, each (w, bands). One would guess that the number of bands changes nothing.
# imread gives the array back as it was, so the writer sees nothing of it; Pillow, and whatever reads the first page,
# sees a grey picture of w x bands. "photometric='minisblack', planarconfig='contig'" writes one page of any number.
# Seen 30 November 2026: 4 bands: 1 page (64, 48, 4); 13 bands: 64 pages (48, 13), imread (64, 48, 13), Pillow 13 x 48.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tifffile==2026.3.3 numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import tifffile
from PIL import Image

found = {}
for bands in (3, 4, 2, 5, 13):
    tifffile.imwrite("tile.tif", np.zeros((64, 48, bands), np.uint16))
    with tifffile.TiffFile("tile.tif") as file:
        found[bands] = (len(file.pages), file.pages[0].shape)
    print(bands, "bands:", *found[bands], "imread", tifffile.imread("tile.tif").shape)
assert found[3] == (1, (64, 48, 3)) and found[4] == (1, (64, 48, 4)), found
for bands in (2, 5, 13):
    assert found[bands] == (64, (48, bands)), found
assert tifffile.imread("tile.tif").shape == (64, 48, 13)
with Image.open("tile.tif") as image:
    print("Pillow", image.size, image.mode)
    assert image.size == (13, 48), image.size
tifffile.imwrite("tile.tif", np.zeros((64, 48, 13), np.uint16), photometric="minisblack", planarconfig="contig")
with tifffile.TiffFile("tile.tif") as file:
    assert (len(file.pages), file.pages[0].shape) == (1, (64, 48, 13)), file.pages[0].shape
PY
