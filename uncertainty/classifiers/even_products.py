"""Products of matrices whose rows are the same to the last bit however many there are, as those of torch are not."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor
from torch.overrides import TorchFunctionMode

from uncertainty.classifiers.onednn import available

_CONVOLUTIONS = (torch.conv2d, torch.ops.aten.conv2d.default)
_LINEAR = (F.linear, torch.ops.aten.linear.default)
_FEWEST, _BLOCK = 16, 32  # rows: MKL has other kernels below 16, and several threads may share more than a block


class EvenProducts(TorchFunctionMode):
    """While active, linear layers and convolutions of one pixel give a row the same bits in any batch.

    Without it a linear layer of fewer than 16 rows, or of one output, rounds otherwise than that of a full batch; with
    several threads so do more rows, and with one thread convolutions of one pixel for fewer than 16 images, which
    torch gives to another library. Only float32 on the processor, two axes for linear layers, and no gradients.

    Examples
    --------
    >>> layer, x = torch.nn.Linear(512, 3), torch.randn(20, 512)
    >>> with torch.no_grad(), EvenProducts():
    ...     bool(torch.equal(layer(x[:1]), layer(x)[:1]))
    True

    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _LINEAR and _plain(args):
            return _linear(*args, **kwargs)
        if func in _CONVOLUTIONS and _plain(args) and not kwargs and _goes_elsewhere(*args):
            given: list[Any] = [*args, *(None, 1, 0, 1, 1)[len(args) - 2 :]]
            return torch.mkldnn_convolution(given[0], given[1], given[2], (0, 0), (1, 1), (1, 1), given[6])
        return func(*args, **kwargs)


def _plain(args: Any) -> bool:
    return (
        len(args) > 1
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and all(isinstance(t, Tensor) and t.device.type == "cpu" and t.dtype is torch.float32 for t in args[:2])
    )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if x.dim() != 2 or weight.dim() != 2 or not len(x):
        return F.linear(x, weight, bias)
    images, outputs = len(x), len(weight)
    if outputs == 1:  # or it is a product with a vector
        weight, bias = F.pad(weight, (0, 0, 0, 1)), None if bias is None else F.pad(bias, (0, 1))
    if torch.get_num_threads() == 1:
        x = F.pad(x, (0, 0, 0, _FEWEST - images)) if images < _FEWEST else x
        return F.linear(x, weight, bias)[:images, :outputs]
    blocks = torch.split(F.pad(x, (0, 0, 0, -images % _BLOCK)), _BLOCK)
    return torch.cat([F.linear(block, weight, bias) for block in blocks])[:images, :outputs]


def _goes_elsewhere(x: Tensor, weight: Tensor, bias: Any = None, *settings: Any) -> bool:
    """Whether torch gives this convolution to another library than that of a full batch."""
    few = x.dim() == 4 and 0 < len(x) < _FEWEST and weight.shape[2:] == (1, 1) and torch.get_num_threads() == 1
    if not few or not available():
        return False
    stride, padding, dilation = (*settings, *(1, 0, 1)[len(settings) :])[:3]
    return all(
        one in (plain, (plain, plain), [plain, plain])
        for one, plain in zip((stride, padding, dilation), (1, 0, 1), strict=True)
    )
