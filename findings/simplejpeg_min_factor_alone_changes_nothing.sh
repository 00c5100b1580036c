#!/usr/bin/env bash
# simplejpeg 1.9.0: `decode_jpeg(data, min_factor=2)`, "minimum scaling factor" by its text, gives the image at its full
# size. The factor counts only beside `min_height` or `min_width`. One would guess that an eighth, a quarter or a half is
# decoded, in a fraction of the time, as Pillow's `draft` does; who only looks at predictions pays for every pixel.
# Seen 30 November 2026: 960x1280 for factors 1, 2, 4 and 8; 240x320 once minima of 200 for the sides stand beside the 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check simplejpeg==1.9.0 pillow==12.3.0 numpy==2.4.6
cd "$work"
cat > decode.py <<'PY'
import io

import simplejpeg
from PIL import Image

file = io.BytesIO()
Image.linear_gradient("L").resize((1280, 960)).convert("RGB").save(file, "JPEG")
alone = {factor: simplejpeg.decode_jpeg(file.getvalue(), min_factor=factor).shape for factor in (1, 2, 4, 8)}
beside = simplejpeg.decode_jpeg(file.getvalue(), min_factor=2, min_height=200, min_width=200).shape
print(alone, beside)
assert set(alone.values()) == {(960, 1280, 3)}, alone
assert beside[:2] != (960, 1280), beside
PY
"$work/venv/bin/python" decode.py
