"""Where the page has its pictures from: inside it, or beside it where they are many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.images.previews import webp_uri

LARGEST_INSIDE = 3_800_000
"""Up to so many bytes of pictures are in the page itself, which then has less than 5 MB; above, beside it."""
_OURS = re.compile(r"(a|b|good)?\d{6}\.webp")


def placed(pictures: Mapping[str, bytes], page: Path) -> tuple[dict[str, str], Path | None]:
    """Return a source for each WebP picture by name, and the folder beside the page that has them, if they are many.

    >>> placed({"000000": b"ab"}, Path("report.html"))
    ({'000000': 'data:image/webp;base64,YWI='}, None)
    """
    if sum(map(len, pictures.values())) * 4 / 3 < LARGEST_INSIDE:
        return {name: webp_uri(data) for name, data in pictures.items()}, None
    folder = page.with_name(f"{page.stem}_thumbs")
    if folder.is_symlink():
        raise InputError(f"{folder} is a link to another folder; remove it, or name the page otherwise")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if _OURS.fullmatch(old.name):
            old.unlink()
    for name, data in pictures.items():
        (folder / f"{name}.webp").write_bytes(data)
    return {name: f"{folder.name}/{name}.webp" for name in pictures}, folder
