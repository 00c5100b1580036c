"""A network that another library runs, as a torch module without gradients: arrays in, arrays out."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers.feature_layer import pooled
from uncertainty.classifiers.formats.base import Request
from uncertainty.classifiers.formats.module import ASSUMED
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError

logger = logging.getLogger("uncertainty")

Answer = tuple[NDArray[Any], NDArray[Any] | None]
"""Scores of classes (n, …), and features (n, …) where there are any."""
Run = Callable[[NDArray[Any]], Answer]
Found = TypeVar("Found")
_CHANNELS = (1, 3)
LAYOUTS = ("nchw", "nhwc")
KEYS = ("layout", "output", "output_name", "features", "autocast")
"""What specs of such files say beside what every spec may; `output` and `features` change how a file is read."""


@dataclass(frozen=True)
class Takes:
    """What a file takes: None is what it leaves open.

    `layout` is "nchw", "nhwc", "nhw" (grey images without an axis of channels) or "flat", vectors of `numbers` pixels;
    `batch` is a number of images that it is fixed to; `kind` the type of its values, uint8: bytes.

    Examples
    --------
    >>> Takes.read(["n", 3, 16, 20], "float32", None)
    Takes(layout='nchw', batch=None, channels=3, sides=(16, 20), kind='float32', numbers=None)
    >>> Takes.read([1, 16, 20, 1], "uint8", None).layout
    'nhwc'

    """

    layout: str
    batch: int | None = None
    channels: int | None = None
    sides: tuple[int | None, int | None] = (None, None)
    kind: str = "float32"
    numbers: int | None = None

    @classmethod
    def read(cls, shape: Sequence[Any], kind: str, layout: str | None) -> Takes:
        """Read a declared shape, in which all but positive whole numbers is open; ModelError where it is of no images.

        `layout` is what the spec says, if anything.
        """
        if layout not in (None, *LAYOUTS):
            raise ModelError(f"layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}")
        dims = [side if isinstance(side, int) and side > 0 else None for side in shape]
        batch = dims[0] if dims else None
        if len(dims) == 2:
            return cls("flat" if layout is None else f"flat {layout}", batch, kind=kind, numbers=dims[1])
        if len(dims) == 3 and batch in (None, 1):
            return cls("nhw", batch, 1, (dims[1], dims[2]), kind)
        if len(dims) != 4:
            shown = _shown(shape)
            raise ModelError(
                f"its input has the shape {shown}, with no axis for the images of a batch beside channels, height and "
                "width; export it with one, (n, 3, 224, 224)"
            )
        layout = layout or _layout(dims)
        channels, *sides = dims[1:] if layout == "nchw" else (dims[3], *dims[1:3])
        return cls(layout, batch, channels, (sides[0], sides[1]), kind)

    @property
    def preprocess(self) -> tuple[Preprocess, tuple[str, ...]]:
        """What it tells of preprocessing, and which settings it does not."""
        known: dict[str, Any] = {}
        guessed: tuple[str, ...] = ("size",)
        if self.channels == 1:
            known["grayscale"] = True
        elif self.channels not in (None, *_CHANNELS):
            known["channels"] = self.channels
        if None not in self.sides:
            known["size"], guessed = self.sides, ()
        for channels in _CHANNELS if self.numbers else ():
            side = math.isqrt((self.numbers or 0) // channels)
            if channels * side * side == self.numbers:
                known |= {"size": side, "grayscale": channels == 1}
        if self.kind == "uint8":
            known |= {"mean": 0.0, "std": 1.0, "range": 255.0}
        told = known.keys() - set(guessed)
        return replace(Preprocess(), **known), tuple(key for key in ASSUMED if key not in told)

    def arranged(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Return images (n, channels, h, w) as the file takes them; ModelError where it does not take such."""
        self._refuse_other(images.shape[1:])
        if self.layout == "nhw":
            images = images[:, 0]
        elif "nhwc" in self.layout:
            images = images.transpose(0, 2, 3, 1)
        if self.layout.startswith("flat"):
            images = images.reshape(len(images), -1)
        values = images.round().clip(0, 255) if self.kind == "uint8" else images
        return np.ascontiguousarray(values, dtype=self.kind)

    def _refuse_other(self, given: tuple[int, ...]) -> None:
        channels, *sides = given
        if self.layout == "flat" and channels > 1:
            raise ModelError(
                f"it takes vectors of {self.numbers} numbers; say layout=nhwc or nchw, how they were laid out"
            )
        if self.numbers not in (None, math.prod(given)) and self.layout.startswith("flat"):
            raise ModelError(f"it takes vectors of {self.numbers} numbers, and an image is {_shown(given)}; say size=")
        if self.channels not in (None, channels):
            raise ModelError(f"it takes images of {self.channels} channels, and these have {channels}")
        if any(mine not in (None, side) for mine, side in zip(self.sides, sides, strict=True)):
            mine, other = ("x".join(str(side or "any") for side in two) for two in (self.sides, sides))
            raise ModelError(f"it takes images of {mine} (height x width), and these are {other}; leave size= away")


def _layout(dims: Sequence[int | None]) -> str:
    """Return which axis of (n, a, b, c) is channels: one or three, or that beside two equal ones; else ModelError.

    >>> _layout([None, 13, 64, 64]), _layout([None, 64, 64, 13]), _layout([None, 3, 64, 48])
    ('nchw', 'nhwc', 'nchw')
    """
    first, middle, last = dims[1:]
    if first in _CHANNELS or last in _CHANNELS:
        return "nhwc" if first not in _CHANNELS else "nchw"
    if first is None or last is None or middle == last != first:
        return "nhwc" if first is None and last is not None and middle is None else "nchw"
    if first == middle != last:
        return "nhwc"
    raise ModelError(
        f"its input has the shape {_shown(dims)}, of which any end may be channels; say layout=nchw or nhwc"
    )


class Engine(nn.Module):
    """A network that another library runs on the CPU.

    Parameters
    ----------
    run : from an array as the file takes it to scores and features of each image.
    takes : what the file takes.
    digest : what tells this file, and what is read of it, from others; part of the fingerprint.
    name : of the library.
    no_dropout : why there is no dropout that could be run.
    feature_name : what the user calls the features, where he named them.

    """

    digest: Tensor
    steps_from_batch = False  # whether it is quantised with steps that are taken from the values of a whole batch

    def __init__(
        self, run: Run, takes: Takes, digest: bytes, *, name: str, no_dropout: str, feature_name: str | None = None
    ) -> None:
        super().__init__()
        self.run, self.takes, self.name, self.no_dropout, self.feature_name = run, takes, name, no_dropout, feature_name
        self.no_gradients = f"{name} runs this network, which gives none"
        self.register_buffer("digest", torch.frombuffer(bytearray(digest), dtype=torch.uint8))
        self.named = nn.Identity()

    def forward(self, images: Tensor) -> Any:
        """Answer with scores (n, …), and features (n, d) where the file has any."""
        arranged = self.takes.arranged(images.detach().to("cpu", torch.float32).numpy())
        scores, features = in_batches(self.run, arranged, self.takes.batch)
        if features is None:
            return _tensor(scores)
        return _tensor(scores), self.named(pooled(_tensor(features)))

    def _apply(self, fn: Any, recurse: bool = True) -> Engine:
        """Stay where it is, and as precise, whatever it is moved to."""
        return self

    def get_submodule(self, target: str) -> nn.Module:
        """Find the features also by the name that they have in the file."""
        return self.named if target == self.feature_name else super().get_submodule(target)


def in_batches(run: Run, values: NDArray[Any], batch: int | None) -> Answer:
    """Run all rows, `batch` at a time where that is fixed: the last ones are filled up with copies of the last row.

    >>> in_batches(lambda rows: (rows * len(rows), None), np.array([[1.0], [2.0], [3.0]]), 2)[0].tolist()
    [[2.0], [4.0], [6.0]]
    """
    if batch is None:
        return run(values)
    short = -len(values) % batch
    filled = np.concatenate([values, np.repeat(values[-1:], short, axis=0)]) if short else values
    parts = [run(filled[start : start + batch]) for start in range(0, len(filled), batch)]
    scores = np.concatenate([scores for scores, _ in parts])[: len(values)]
    features = [part for _, part in parts if part is not None]
    return scores, np.concatenate(features)[: len(values)] if features else None


def _tensor(values: NDArray[Any]) -> Tensor:
    # A copy: an engine may hand out the same memory again.
    return torch.from_numpy(np.array(values, dtype=np.float32))


def digest_of(files: Iterable[Path], *read: str | None) -> bytes:
    """Return the SHA-256 of files and of what is read of them."""
    sha = hashlib.sha256(repr(read).encode())
    for path in files:
        with path.open("rb") as file:
            sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.digest()


def refuse_folder(path: Path, kind: str) -> None:
    """Raise ModelError for a folder, and for a file without content."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name a file of {kind} in it")
    if path.stat().st_size == 0:
        raise ModelError(f"{path} is empty, so it is no file of {kind}")


def check_request(request: Request, name: str) -> None:
    """Refuse what only torch can do, and say where the network runs in spite of `device`."""
    if "autocast" in request.options:
        raise ModelError(f"autocast is for networks that torch runs; {name} runs {request.target} as it is stored")
    if request.device not in (None, "cpu"):
        logger.warning("%s runs %s on the CPU, not on %s", name, request.target, request.device)


def refuse_several(inputs: Sequence[str]) -> None:
    """Raise ModelError for a network that wants more than images."""
    if len(inputs) != 1:
        names = ", ".join(inputs) or "none"
        raise ModelError(f"it has {len(inputs)} inputs ({names}); only networks of one input, images, can be run")


def named(path: Path, find: Callable[[], Found]) -> Found:
    """Find something in a file, whose name goes before what is wrong with it."""
    try:
        return find()
    except ModelError as error:
        raise ModelError(f"{path} can't be used: {error}") from error


def _shown(shape: Sequence[Any]) -> str:
    return f"({', '.join(str(side) if side else 'n' for side in shape)})"
