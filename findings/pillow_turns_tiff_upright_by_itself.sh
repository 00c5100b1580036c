#!/usr/bin/env bash
# Pillow 13.0.0: the EXIF orientation of a JPEG, PNG or WebP is left to the caller (ImageOps.exif_transpose), that of a
# TIFF is applied while it is loaded, and the tag is gone afterwards. One would guess that all formats are alike. So of
# two copies of a photograph, equal but for their format, a training pipeline without exif_transpose sees one lying on
# its side and one upright, and a tool that turns by the tag has nothing left to turn in a TIFF that was loaded.
# Seen 30 November 2026: stored 48 x 32 with orientation 6;
#   JPEG (48, 32) -> (48, 32), PNG (48, 32) -> (48, 32), WEBP (48, 32) -> (48, 32), TIFF (32, 48) -> (32, 48)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
from PIL import Image

exif = Image.Exif()
exif[0x0112] = 6  # to be turned by 90 degrees
found = {}
for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
    Image.new("RGB", (48, 32)).save(f"photo.{kind}", format=kind, exif=exif)
    with Image.open(f"photo.{kind}") as image:
        before = image.size
        image.load()
        found[kind] = (before, image.size)
        print(kind, before, "->", image.size, "tag left:", image.getexif().get(0x0112))
for kind in ("JPEG", "PNG", "WEBP"):
    assert found[kind] == ((48, 32), (48, 32)), found
assert found["TIFF"][1] == (32, 48), found
PY
