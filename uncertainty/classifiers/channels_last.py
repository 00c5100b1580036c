"""Whether a network may get its images with channels last in memory, which most convolutions are faster on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ALIKE = 1e-2  # of the largest logit: far above rounding, below what another order of pixels does


def takes_channels_last(module: nn.Module, images: Tensor, logits: Tensor) -> bool:
    """Whether there are convolutions over images, and the module answers alike where channels lie last in memory."""
    if not any(isinstance(m, nn.Conv2d) for m in module.modules()):
        return False
    try:
        found = module(images.contiguous(memory_format=torch.channels_last))
    except Exception:  # a view of the input in its usual order: anything may be raised
        return False
    return bool((found - logits).abs().max() <= _ALIKE * logits.abs().max())
