"""Screeners on disk that somebody edited: with a broken seal, or sealed again as a clever hand would."""

import json
from pathlib import Path

from safetensors.numpy import load, save

from uncertainty.screener.artifact import MANIFEST, Manifest


def arrays_file(folder: Path) -> Path:
    """The file of arrays that a manifest names."""
    return folder / json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["arrays_file"]


def arrays_of(folder: Path) -> dict:
    return load(arrays_file(folder).read_bytes())


def edited(folder: Path, **changes) -> Path:
    """Change keys of the manifest and leave the seal as it was."""
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(content | changes), encoding="utf-8")
    return folder


def sealed_again(folder: Path, new_arrays: dict | None = None, **changes) -> Path:
    """Change keys of the manifest, and arrays, and seal all anew."""
    edited(folder, **changes)
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest = Manifest.model_construct(**content)
    if new_arrays is not None:
        arrays_file(folder).write_bytes(save(new_arrays))
        manifest = manifest.of_arrays(new_arrays)
        content["arrays"] = manifest.arrays
    content.pop("seal")
    content["seal"] = _seal(content)
    (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _seal(content: dict) -> str:
    from uncertainty.screener.artifact import _hash

    return _hash(content)
