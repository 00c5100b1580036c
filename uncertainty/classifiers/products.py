"""Convolutions of one pixel as the products that they are, which torch computes several times as fast for many rows."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = (torch.conv2d, torch.ops.aten.conv2d.default)
_SETTINGS = ("stride", "padding", "dilation", "groups")


class AsProducts(TorchFunctionMode):
    """While active, 1 x 1 convolutions of images of one pixel, as in the head of timm's VGG, are linear layers.

    The same numbers but for rounding.

    Examples
    --------
    >>> layer = torch.nn.Conv2d(2, 1, 1)
    >>> with AsProducts():
    ...     made = layer(torch.ones(3, 2, 1, 1))
    >>> made.shape, bool(torch.allclose(made[0, 0, 0, 0], layer.weight.sum() + layer.bias))
    (torch.Size([3, 1, 1, 1]), True)

    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _CONVOLUTIONS and len(args) > 1 and _is_product(*args[:2], *args[3:], **kwargs):
            x, weight, *bias = args[:3]
            given = bias[0] if bias else kwargs.get("bias")
            return F.linear(x.flatten(1), weight.flatten(1), given)[:, :, None, None]
        return func(*args, **kwargs)


def _is_product(x: Any, weight: Any, *settings: Any, **named: Any) -> bool:
    said = dict(zip(_SETTINGS, settings, strict=False)) | named
    padding, groups = said.get("padding", 0), said.get("groups", 1)
    plain = isinstance(x, Tensor) and x.dim() == 4 and x.shape[2:] == weight.shape[2:] == (1, 1)
    return plain and groups == 1 and padding in (0, (0, 0), [0, 0], "valid")
