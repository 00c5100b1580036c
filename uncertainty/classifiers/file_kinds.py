"""What a file is that should hold weights, told from what stands in it and not from the ending of its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "zip", "pickle"]
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows
_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": "HDF5, as Keras writes it; save the weights of the torch model",
    b"\x93NUMPY": "an array of NumPy; save model.state_dict()",
    b"version https://git-lfs": "a pointer of Git LFS and not the file; run git lfs pull",
    b"GGUF": "GGUF, for language models; take the weights as .safetensors",
    b"\x89PNG": "an image; name the file of weights",
    b"\xff\xd8\xff": "an image; name the file of weights",
    b"\x1f\x8b": "compressed; unpack it first",
    b"BZh": "compressed; unpack it first",
    b"\xfd7zXZ": "compressed; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "compressed; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed; unpack it first",
    b"Rar!": "compressed; unpack it first",
}
_PLACES = {4: (b"TFL3", "TensorFlow Lite; say tflite:FILE"), 257: (b"ustar", "a tar archive; unpack it first")}
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def kind_of(path: Path) -> Kind | None:
    """Return what a file is by its first bytes, of what can hold tensors; None for anything else."""
    head = _head(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    return "pickle" if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1 else None


def words_for(path: Path) -> str:
    """Say what a file is that holds no tensors, and what to do about it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (file := Path(folder) / "weights.pt").write_bytes(b"<!DOCTYPE html>")
    ...     words_for(file)
    'a web page and not the file; download it by the link to the file itself'
    """
    head = _head(path)
    if not head:
        return "empty; copy or download it again"
    if head.startswith(b"PK\x03\x04"):
        return _words_for_zip(path)
    if head.lstrip().lower().startswith(_PAGES):
        return "a web page and not the file; download it by the link to the file itself"
    if head.lstrip()[:1] in (b"{", b"["):
        return "JSON; name the file of weights, which lies beside it or is still to be downloaded"
    known = [words for begins, words in _BEGINNINGS.items() if head.startswith(begins)]
    known += [words for at, (mark, words) in _PLACES.items() if head[at : at + len(mark)] == mark]
    return known[0] if known else "of another kind, or damaged; save model.state_dict(), best as .safetensors"


def _words_for_zip(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "cut short; copy or download it again"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "model.weights.h5" in names:
        return "a model of Keras; say keras:FILE"
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy; save model.state_dict()"
    return "a zip archive of something else; save model.state_dict(), best as .safetensors"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)
