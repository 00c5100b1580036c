"""MC dropout with shared masks: T passes are T fixed sub-networks (Gal & Ghahramani 2016).

The masks are drawn from the seed, once for each pass and dropout call, and shared by all images, so a score never
depends on batch size, order or shard. Nothing of the network is changed: while `SharedMasks` is active, calls of
dropout are answered with the mask, and training flags and batch-norm statistics are never touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from uncertainty.classifiers.attention import MULTI_HEAD, attend, dropout_p, in_parts
from uncertainty.errors import ModelError

_ATEN = torch.ops.aten  # as an exported program calls them
_ELEMENTWISE: tuple[Callable[..., Any], ...] = (F.dropout, torch.dropout, _ATEN.dropout.default)
_CHANNELWISE: tuple[Callable[..., Any], ...] = (F.dropout1d, F.dropout2d, F.dropout3d)
_CHANNELWISE += (torch.feature_dropout, _ATEN.feature_dropout.default)
_ALPHA: tuple[Callable[..., Any], ...] = (F.alpha_dropout, torch.alpha_dropout, _ATEN.alpha_dropout.default)
_ALPHA_CHANNELWISE: tuple[Callable[..., Any], ...] = (F.feature_alpha_dropout, torch.feature_alpha_dropout)
_ALPHA_CHANNELWISE += (_ATEN.feature_alpha_dropout.default,)
_ALL = frozenset(_ELEMENTWISE + _CHANNELWISE + _ALPHA + _ALPHA_CHANNELWISE)
_SELU_FLOOR = -1.7580993408473766  # the value that alpha dropout puts in place of a dropped unit, -scale * alpha

_ROOM = 1 << 26  # bytes of masks that a network keeps
_SAME = 1e-3  # of the largest logit: far above rounding, far below what another mask does


class Masks:
    """Masks that were drawn, kept while there is room: drawing is dear beside a small matrix product."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room, self._held = room, 0
        self._masks: dict[Any, Tensor] = {}

    def get(self, key: Any, draw: Callable[[], Tensor]) -> Tensor:
        """Return what was drawn for this key, or draw it; the key must say all that the mask depends on."""
        if (mask := self._masks.get(key)) is not None:
            return mask
        mask = draw()
        size = mask.numel() * mask.element_size()
        if size <= self._room:
            if self._held + size > self._room:
                self._masks, self._held = {}, 0
            self._masks[key], self._held = mask, self._held + size
        return mask


class SharedMasks(TorchFunctionMode):
    """While active, dropout multiplies by the masks of sub-networks; `pass_index=None` only counts the calls.

    With a range of k sub-networks the rows of each dropout call are k copies of the batch, one for each, one after the
    other; with `copies=1` those of the first call are the batch itself, and come out as k copies.

    `calls` is the number of dropout calls with p > 0 seen so far, `groups` how many rows each image had in each call.
    """

    def __init__(
        self,
        batch: int,
        seed: int = 0,
        pass_index: int | range | None = None,
        *,
        masks: Masks | None = None,
        copies: int | None = None,
    ) -> None:
        super().__init__()
        self.batch, self.seed, self.counting = batch, seed, pass_index is None
        self.passes = pass_index if isinstance(pass_index, range) else range(pass_index or 0, (pass_index or 0) + 1)
        self.masks = Masks(0) if masks is None else masks
        self.copies = len(self.passes) if copies is None else copies
        self.calls = 0
        self.groups: list[float] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _ALL:
            return self._attended(func, args, kwargs) if dropout_p(func, args, kwargs) else func(*args, **kwargs)
        x, p = _input_and_p(*args, **kwargs)
        return x if p == 0 or x.is_quantized else self._drop(func, x, p)

    def _drop(self, func: Callable[..., Any], x: Tensor, p: float) -> Tensor:
        call, self.calls = self.calls, self.calls + 1
        self.groups.append(x.shape[0] / self.batch if x.dim() else math.nan)
        return x if self.counting else self._dropped(func, x, p, call)

    def _attended(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func is MULTI_HEAD:
            with self:
                return in_parts(*args, **kwargs)
        p = dropout_p(func, args, kwargs)
        return attend(lambda weights: self._drop(F.dropout, weights, p), *args, **kwargs)

    def _dropped(self, func: Callable[..., Any], x: Tensor, p: float, call: int) -> Tensor:
        copies = self.copies if call == 0 else len(self.passes)
        rows, rest = divmod(x.shape[0], copies * self.batch)
        if rest:
            raise ModelError(f"a dropout layer sees {x.shape[0]} rows for {self.batch} images; rows must come first")
        images = x.reshape(copies, self.batch, rows, *x.shape[1:])
        if p == 1:
            return torch.zeros_like(images.expand(len(self.passes), *images.shape[1:])).flatten(0, 2)
        channelwise = func in _CHANNELWISE or func in _ALPHA_CHANNELWISE
        shape = (rows, x.shape[1], *([1] * (x.dim() - 2))) if channelwise else (rows, *x.shape[1:])
        alpha = func in _ALPHA or func in _ALPHA_CHANNELWISE
        last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        key = (self.seed, self.passes, call, shape, p, alpha, last, x.dtype, x.device)
        keep = self.masks.get(key, lambda: self._keep(shape, p, call, alpha, last, x))
        return (_alpha(images, keep, p) if alpha else images * keep).flatten(0, 2)

    def _keep(self, shape: tuple[int, ...], p: float, call: int, alpha: bool, last: bool, x: Tensor) -> Tensor:
        """Draw (k, 1, rows, …): what to keep for alpha dropout, else what to multiply by."""
        keep = torch.cat([_drawn(shape, p, self.seed, index, call) for index in self.passes])
        if last:  # laid out as what it is multiplied with
            keep = keep.contiguous(memory_format=torch.channels_last)
        keep = keep.to(x.device).view(len(self.passes), 1, *shape)
        return keep if alpha else keep.to(x.dtype) / (1 - p)


def _drawn(shape: tuple[int, ...], p: float, seed: int, index: int, call: int) -> Tensor:
    # Drawn on the CPU whatever the device, so that a GPU sees the same sub-networks.
    state = np.random.SeedSequence([seed, index, call]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0] >> 1))
    return torch.rand(shape, generator=generator) >= p


def _input_and_p(input: Tensor, p: float = 0.5, *_: Any, **__: Any) -> tuple[Tensor, float]:
    return input, float(p)


def _alpha(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Alpha dropout (Klambauer et al. 2017): dropped units take the floor of SELU; mean and variance are kept."""
    scale = (1 - p + p * (1 - p) * _SELU_FLOOR**2) ** -0.5
    dropped: Tensor = torch.where(keep, x, _SELU_FLOOR) * scale - scale * p * _SELU_FLOOR
    return dropped


def shares_masks(module: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Whether a sub-network gives an image the same logits in another batch: in another place and among fewer.

    `images` are three or more that differ. It is not so where a layer has the images along another axis than the first
    (sequence first), or in strides along the first.
    """
    groups = [_groups(module, batch) for batch in (images, images[:-1])]
    if groups[0] != groups[1] or not all(rows >= 1 and rows == int(rows) for rows in groups[0]):
        return False
    turned = images.flip(0)[:-1]
    with SharedMasks(len(images), pass_index=0):
        expected = module(images).flip(0)[:-1]
    with SharedMasks(len(turned), pass_index=0):
        found = module(turned)
    return bool((found - expected).abs().max() <= _SAME * expected.abs().max())


def calls_dropout(module: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Whether a forward pass calls dropout with p > 0."""
    return bool(_groups(module, images))


def one_sub_network(module: Callable[[Tensor], Tensor], images: Tensor, alone: bool) -> list[Tensor]:
    """Return the logits of one sub-network: for all images, or for each `alone`."""
    answers = []
    for batch in torch.split(images, 1 if alone else len(images)):
        with SharedMasks(len(batch), pass_index=0):
            answers.append(module(batch))
    return answers


def drops_units(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is dropout, of attention too, with p > 0."""
    if func not in _ALL:
        return dropout_p(func, args, kwargs) > 0
    x, p = _input_and_p(*args, **kwargs)
    return p > 0 and not x.is_quantized


def is_dropout_call(func: Callable[..., Any]) -> bool:
    """Whether a function does nothing but drop."""
    return func in _ALL


def is_dropout(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node of a traced graph is nothing but a call of dropout."""
    if node.op == "call_module":
        return isinstance(graph.get_submodule(str(node.target)), nn.modules.dropout._DropoutNd)
    return node.op == "call_function" and node.target in _ALL


def _groups(module: Callable[[Tensor], Tensor], images: Tensor) -> list[float]:
    with SharedMasks(len(images)) as masks:
        module(images)
    groups: list[float] = masks.groups
    return groups
