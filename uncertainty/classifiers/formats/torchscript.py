"""`torchscript:FILE`: what `torch.jit.save` wrote, read where the user trusts it: it is code."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._archive import what_it_is
from uncertainty.classifiers.formats._fixed_batch import FixedBatch, WithFeatures
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.classifiers.formats.module import ASSUMED
from uncertainty.classifiers.modes import check_device
from uncertainty.errors import ModelError, in_one_line

_OF_NO_MATTER = (".debug_pkl", ".data/serialization_id", "version")  # where the source lay, and when it was written


def describe(request: Request) -> Description:
    """Read the file; all that it says is what it computes."""
    path = request.path
    check_device(request.device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch advises torch.export
            program: Any = torch.jit.load(str(path), map_location=request.device or "cpu")  # type: ignore[no-untyped-call]
        digest = _digest(path)
    except Exception as error:  # a file of any kind: anything may be raised
        why = what_it_is(path, "torchscript") or in_one_line(error, 300)
        raise ModelError(f"{path} can't be read as TorchScript (torch {torch.__version__}): {why}") from error
    module: nn.Module = Scripted(WithFeatures(program), digest)
    if (batch := _batch(request.options.get("batch"))) is not None:
        module = FixedBatch(module, batch, batch)
    return Description(module, assumed=ASSUMED)


def _batch(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise ModelError(
            f"model spec has batch={text!r}; it must be a whole number, the images that the file takes at once"
        )
    return int(text)


class Scripted(nn.Module):
    """A program of TorchScript with what tells it from others: a frozen one has no weights that can be seen."""

    digest: Tensor

    def __init__(self, module: nn.Module, digest: bytes) -> None:
        super().__init__()
        self.module, self.features_from = module, "the input of its last product with weights"
        self.register_buffer("digest", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Any:
        """Answer as it does, with features where they can be found."""
        return self.module(images)


def _digest(path: Path) -> bytes:
    """Return a hash of code and weights; the archive in it is called as the file was when it was written."""
    sha = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(_OF_NO_MATTER):
                sha.update(name.partition("/")[2].encode())
                sha.update(hashlib.sha256(archive.read(name)).digest())
    return sha.digest()


FORMAT = Format(describe, keys=("batch",), runs_code=True)
