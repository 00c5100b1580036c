#!/usr/bin/env bash
# Pillow decodes white of a JPEG 2000 in colours of more than 8 bits as black, without a word.
#
# Versions: pillow 13.0.0, imagecodecs 2026.3.6, numpy 2.4.6.
# Expected: 8 bits of each value: 65535 becomes 255, as for PNG of 16-bit colours.
# Seen: values are rounded to the nearest of 256 and the sum overflows: 65407 becomes 255, 65408 and all above become 0;
#   so does 4095 of 12 bits. Grey images keep all bits and are right.
# Source: src/libImaging/Jpeg2KDecode.c, the rounding before the shift by `prec - 8`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 imagecodecs==2026.3.6 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PY'
import io

import imagecodecs
import numpy as np
import PIL
from PIL import Image


def decoded(value, bits):
    data = bytes(imagecodecs.jpeg2k_encode(np.full((4, 4, 3), value, np.uint16), level=0, bitspersample=bits))
    assert int(imagecodecs.jpeg2k_decode(data)[0, 0, 0]) == value
    return int(np.asarray(Image.open(io.BytesIO(data)))[0, 0, 0])


seen = {value: decoded(value, 16) for value in (65280, 65407, 65408, 65535)}
print(f"pillow {PIL.__version__}, imagecodecs {imagecodecs.__version__}")
print("expected of each: 255")
print(f"seen: {seen}, and {decoded(4095, 12)} of 4095 in 12 bits")
assert seen == {65280: 255, 65407: 255, 65408: 0, 65535: 0} and decoded(4095, 12) == 0
PY
