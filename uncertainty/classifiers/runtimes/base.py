"""What stands in for torch in plain passes: a library that compiles a part of a network for the processor.

A new runtime is one file here, and a line in `_FILES`. Each image runs by itself, so that its answer is the same to the
bit in whatever batch it comes; several threads run several images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.errors import ModelError

Rows = list[tuple[NDArray[np.float32], ...]]
"""The outputs of each image."""
Run = Callable[[NDArray[np.float32]], Rows]
"""From images (n, channels, h, w) to what was made of each."""

TORCH = "torch"
_FILES = {"openvino": "OpenVino", "onnxruntime": "OnnxRuntime"}


@dataclass(frozen=True)
class Runtime(ABC):
    """A library and the precision that it is held to: "f32", or "bf16" where the library has it."""

    precision: str = "f32"

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("f32",)

    def __post_init__(self) -> None:
        if self.precision not in self.precisions:
            known = " or ".join(self.precisions)
            raise ModelError(f"runtime={self.name}:{self.precision} is none; {self.name} has {known}")

    def __str__(self) -> str:
        return f"{self.name}:{self.precision}"

    @abstractmethod
    def installed(self) -> bool:
        """Whether the library is there."""

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


def installed() -> list[Runtime]:
    """Return the runtimes that are installed here, each in all its precisions."""
    found = [runtime for name in _FILES if (runtime := runtime_of(name)) is not None and runtime.installed()]
    return [type(one)(precision) for one in found for precision in one.precisions]
