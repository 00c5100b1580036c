"""What stands in for torch in plain passes: a library that compiles a part of a network for the processor.

A new runtime is one file here, and a line in `_FILES`. Each image runs by itself, so that its answer is the same to the
bit in whatever batch it comes; several threads run several images.
"""

from __future__ import annotations

import hashlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.errors import ModelError

Rows = list[tuple[NDArray[np.float32], ...]]
"""The outputs of each image."""
Run = Callable[[NDArray[np.float32]], Rows]
"""From images (n, channels, h, w) to what was made of each."""

TORCH = "torch"
INT8 = "int8"
_FILES = {"openvino": "OpenVino", "onnxruntime": "OnnxRuntime"}


@dataclass(frozen=True)
class Runtime(ABC):
    """A library and the precision that it is held to: "f32", or "bf16" or "int8" where the library has it.

    In eight bits a part is `made` once, from images that say between which values the answers of its layers lie; until
    then it is None, and nothing runs.
    """

    precision: str = "f32"
    made: bytes | None = field(default=None, repr=False)

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("f32",)

    def __post_init__(self) -> None:
        if self.precision not in self.precisions:
            known = " or ".join(self.precisions)
            raise ModelError(f"runtime={self.name}:{self.precision} is none; {self.name} has {known}")

    def __str__(self) -> str:
        return f"{self.name}:{self.precision}"

    @property
    def known_by(self) -> str:
        """What tells it from all others, in the same precision but made of other images too."""
        return str(self) if self.made is None else f"{self} {hashlib.sha256(self.made).hexdigest()}"

    @property
    def waits(self) -> bool:
        """Whether it must be shown images before it runs."""
        return self.precision == INT8 and self.made is None

    def shown(self, part: nn.Module, images: NDArray[np.float32]) -> Self:
        """Return the same runtime with a part in eight bits, made of images (n, channels, h, w)."""
        return replace(self, made=self.in_eight_bits(part, images))

    def in_eight_bits(self, part: nn.Module, images: NDArray[np.float32]) -> bytes:
        """Return a part in eight bits as `made` has it; of a library that has that precision."""
        raise ModelError(f"runtime={self} takes no images; {self.name} has no {INT8}")

    @abstractmethod
    def needs(self) -> dict[str, str]:
        """Return the packages that must be importable, each with the extra that installs it."""

    def missing(self) -> str:
        """Say which packages are missing and how they are installed; "" where none is."""
        lacking = {name: extra for name, extra in self.needs().items() if importlib.util.find_spec(name) is None}
        extras = ",".join(dict.fromkeys(lacking.values()))
        return f"needs {', '.join(lacking)}; pip install 'uncertainty-vision[{extras}]'" if lacking else ""

    @abstractmethod
    def compile(self, part: nn.Module, example: Tensor, threads: int, cache: Path | None) -> Run:
        """Compile a part, in eval mode, for images like `example` (1, channels, h, w).

        `cache` is a folder for what takes long to make, None: nothing is kept. Raises MissingDependencyError, and
        whatever the library does where it does not know a layer.
        """


def runtime_of(said: str) -> Runtime | None:
    """Return the runtime that a spec names, "openvino" or "openvino:bf16"; None for torch.

    Raises ModelError for a library or precision that there is not.

    >>> str(runtime_of("openvino")), runtime_of("torch")
    ('openvino:f32', None)
    """
    name, _, precision = said.partition(":")
    if said == TORCH:
        return None
    if name not in _FILES:
        raise ModelError(f"runtime is {said!r}; it must be one of {', '.join((TORCH, *_FILES))}")
    made: Runtime = getattr(import_module(f"uncertainty.classifiers.runtimes.{name}"), _FILES[name])(precision or "f32")
    return made


def runtimes() -> list[Runtime]:
    """Return the runtimes that there are, each in all its precisions."""
    known = [runtime for name in _FILES if (runtime := runtime_of(name)) is not None]
    return [type(one)(precision) for one in known for precision in one.precisions]


def installed() -> list[Runtime]:
    """Return those that are installed here."""
    return [one for one in runtimes() if not one.missing()]
