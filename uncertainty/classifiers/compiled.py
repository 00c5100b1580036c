"""What another library runs in torch's place: a whole network, or what lies before its first dropout.

It holds its own weights, so it runs only while those of the network are what they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from uncertainty.classifiers.replay import hooked
from uncertainty.classifiers.runtimes.base import Run
from uncertainty.classifiers.weight_state import WeightState


@dataclass(frozen=True, eq=False)
class Compiled:
    """What a library runs; `layers` and `tensors` are what it was compiled from, `state` what these were then.

    `channels_last` is how torch's own part lays images out, and so gets them: laid out otherwise, one image alone would
    be rounded otherwise than among others.
    """

    run: Run
    layers: tuple[nn.Module, ...]
    tensors: tuple[Tensor, ...]
    state: WeightState
    per_image: tuple[bool, ...]
    channels_last: bool = False

    def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what was made of all images; only while the weights hold."""
        rows = self.run(np.ascontiguousarray(inputs.detach().to(torch.float32).numpy()))
        return tuple(
            self._laid_out(torch.from_numpy(np.concatenate([row[k] for row in rows]) if each else rows[0][k]))
            for k, each in enumerate(self.per_image)
        )

    def _laid_out(self, made: Tensor) -> Tensor:
        return made.contiguous(memory_format=torch.channels_last) if self.channels_last and made.dim() == 4 else made

    def answer(self, inputs: Tensor) -> Tensor:
        """Return the first of what was made, the logits of a whole network."""
        return self(inputs)[0]

    def weights_hold(self) -> bool:
        """Whether no layer has a hook, other settings or other weights since."""
        return not any(map(hooked, self.layers)) and self.state.holds(self.layers, self.tensors)
