"""Files that are damaged in one way each, for whoever reads them."""

from __future__ import annotations

import zipfile
from pathlib import Path


def with_a_wrong_block(path: Path, member: str) -> None:
    """Damage a compressed member of a zip: it begins with a kind of block that deflate does not have."""
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(member).header_offset
    packed = bytearray(path.read_bytes())
    name, extra = (int.from_bytes(packed[start + at : start + at + 2], "little") for at in (26, 28))
    packed[start + 30 + name + extra] = 0xFF
    path.write_bytes(packed)
