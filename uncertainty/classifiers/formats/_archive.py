"""What an archive of torch is, told from the names in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

NO_ARCHIVE = "it is no archive of torch"
_KINDS = {
    "archive_format": ("pt2", "it is an exported program; say pt2:FILE"),
    "serialized_exported_program.json": ("pt2", "it is an exported program of an older torch; export it anew"),
    "constants.pkl": ("torchscript", "it is TorchScript; say torchscript:FILE"),
    "data.pkl": ("pickle", "torch.save wrote it as a pickle; say package.module:factory?weights=FILE for its weights"),
}


def what_it_is(path: Path, expected: str) -> str | None:
    """Say that a file is of another kind than expected, "pt2" or "torchscript"; None where it is, or nobody knows."""
    if not zipfile.is_zipfile(path):
        return NO_ARCHIVE
    with zipfile.ZipFile(path) as archive:
        names = {part for name in archive.namelist() for part in (name, name.partition("/")[2])}
    for name, (kind, words) in _KINDS.items():
        if name in names:
            return None if kind == expected else words
    return NO_ARCHIVE
