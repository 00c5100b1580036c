"""A network that is cut before its first dropout, so that T sub-networks cost one prefix and T suffixes.

Every value that crosses the cut (skip connections too) is kept. Several sub-networks run as one larger batch, each on
its own copy with its own masks, where that gives the same numbers but for rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from uncertainty.classifiers.dropout import Masks, SharedMasks
from uncertainty.classifiers.products import AsProducts

# Floats that cross the cut in one go: beyond that, larger batches no longer pay, and memory grows.
_AT_ONCE = 1 << 21


class AstrayError(Exception):
    """A pass took another path than the one that can be replayed: it must be run in full."""


@dataclass(frozen=True, eq=False)
class Replay(ABC):
    """A network that is cut before its first dropout.

    `first` says which of the values that cross the cut is read by the first dropout and by nothing else, None: none;
    `per_image` which of them have rows of images; `stacks` whether several sub-networks may run as one batch; `share`
    which part of the multiplications comes after the cut.
    """

    first: int | None
    per_image: tuple[bool, ...] = field(default=(), kw_only=True)
    stacks: bool = field(default=False, kw_only=True)
    share: float = field(default=1.0, kw_only=True)

    @abstractmethod
    def begin(self, inputs: Tensor) -> tuple[Any, tuple[Any, ...] | None]:
        """Run the network; return its answer and the values that cross the cut.

        The values are None where it can't be cut as it is now, and the answer may then be None too.
        """

    @abstractmethod
    def prefix(self, inputs: Tensor) -> tuple[Any, ...] | None:
        """Return the values that cross the cut alone."""

    @abstractmethod
    def after(self, *values: Any) -> Any:
        """Run from the first dropout to the output; AstrayError where another path is taken."""

    @abstractmethod
    def later(self) -> Iterable[nn.Module]:
        """Return the parts that a sub-network runs."""

    @abstractmethod
    def is_as_traced(self) -> bool:
        """Whether a sub-network can be run as when it was probed: a hook, or other attributes, may forbid it."""

    def runs_lighter(self) -> bool:
        """Whether it runs parts that give the same sooner, as the network is now."""
        return False

    def answer(self, inputs: Tensor) -> Any:
        """Run the network; None where it can't be cut as it is now."""
        return self.begin(inputs)[0]

    def leaves_nothing(self) -> bool:
        """Whether no module keeps what only stands for a value, once it was run."""
        return True

    def suffix(self, prefix: tuple[Any, ...]) -> Any:
        """Run from the first dropout to the output, leaving `prefix` as it is."""
        # Copies, since what follows may work in place.
        return self.after(*(value.clone() if isinstance(value, Tensor) else value for value in prefix))

    def samples(self, prefix: tuple[Any, ...], batch: int, passes: int, seed: int, masks: Masks) -> Tensor:
        """Run so many sub-networks on a batch: logits (batch, passes, c)."""
        together = self._together(prefix)
        runs = [range(start, min(start + together, passes)) for start in range(0, passes, together)]
        parts = [self._stacked(prefix, batch, run, seed, masks) for run in runs]
        return torch.cat([part.reshape(-1, batch, part.shape[-1]) for part in parts]).transpose(0, 1)

    def _stacked(self, prefix: tuple[Any, ...], batch: int, run: range, seed: int, masks: Masks) -> Tensor:
        if len(run) == 1:
            with SharedMasks(batch, seed, run, masks=masks):
                alone: Tensor = self.suffix(prefix)
            return alone
        copies = [self._copied(k, value, len(run)) for k, value in enumerate(prefix)]
        with AsProducts(), SharedMasks(batch, seed, run, masks=masks, copies=None if self.first is None else 1):
            answer: Tensor = self.after(*copies)
        return answer

    def _copied(self, k: int, value: Any, copies: int) -> Any:
        if not isinstance(value, Tensor) or k == self.first:
            return value
        return value.repeat(copies, *[1] * (value.dim() - 1)) if self.per_image[k] else value.clone()

    def _together(self, prefix: tuple[Any, ...]) -> int:
        # A hook would see the rows of several sub-networks as one batch.
        if not self.stacks or any(map(hooked, self.later())):
            return 1
        floats: int = sum(v.numel() for v, rows in zip(prefix, self.per_image, strict=True) if rows)
        return max(1, _AT_ONCE // max(floats, 1))


def hooked(part: nn.Module) -> bool:
    """Whether a hook of the user's runs with this part, its own or one of all modules."""
    if torch_modules._global_forward_hooks or torch_modules._global_forward_pre_hooks:
        return True
    if not (part._forward_hooks or part._forward_pre_hooks):
        return False
    hooks = (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    # An exported program has one that looks at the shape of its input.
    return any(not (getattr(hook, "__module__", None) or "").startswith("torch.export") for hook in hooks)
