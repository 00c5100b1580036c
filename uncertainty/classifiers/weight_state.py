"""Whether layers and weights are still what something was made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uncertainty.classifiers.tracing import attributes, written

_LOOKED_AT = 64  # values of a weight that are compared before each batch


@dataclass(frozen=True, eq=False)
class WeightState:
    """What layers and tensors were when something was made of them: settings, versions, and some values of each.

    `places` are views of where these values lie, which hold as long as a tensor has the memory that it had.
    """

    layers: tuple[Any, ...]
    written: tuple[tuple[int, int], ...]
    places: tuple[Tensor, ...]
    values: Tensor

    @classmethod
    def of(cls, layers: tuple[nn.Module, ...], tensors: tuple[Tensor, ...]) -> WeightState:
        """Look at them."""
        places = tuple(_some(tensor.detach()) for tensor in tensors)
        return cls(attributes(layers), tuple(map(written, tensors)), places, torch.cat(places))

    def holds(self, layers: tuple[nn.Module, ...], tensors: tuple[Tensor, ...]) -> bool:
        """Whether they are as they were: other tensors, written ones or other values at 64 places of each are not."""
        if self.layers != attributes(layers) or self.written != tuple(map(written, tensors)):
            return False
        return torch.equal(self.values, torch.cat(self.places))


def _some(tensor: Tensor) -> Tensor:
    step = max(1, -(-tensor.numel() // _LOOKED_AT))
    # The memory as it lies, since to flatten another order of axes would copy all of it.
    return tensor.as_strided(((tensor.numel() - 1) // step + 1,), (step,))
