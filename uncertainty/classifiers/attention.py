"""Attention whose weights lose units: what torch's fused functions do in training, with the weights in sight."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor

ATTENTION: frozenset[Callable[..., Any]] = frozenset((F.scaled_dot_product_attention,))
"""Functions that take `dropout_p`."""
MULTI_HEAD: Callable[..., Any] = F.multi_head_attention_forward
"""It calls one of them, or dropout, where no mode sees it."""
_P, _TRAINING = 10, 13  # where it has these among its arguments

in_parts: Callable[..., Any] = FunctionType(
    MULTI_HEAD.__code__,
    {**vars(F), "has_torch_function": lambda _: False},
    "multi_head_attention_in_parts",
    MULTI_HEAD.__defaults__,
)
"""The same function of torch, which leaves it to those that it calls to tell a mode."""


def dropout_p(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Return with which probability a call of attention drops weights; 0 for other functions.

    >>> dropout_p(F.scaled_dot_product_attention, (None, None, None, None, 0.25), {}), dropout_p(F.relu, (0.5,), {})
    (0.25, 0.0)
    """
    if func in ATTENTION:
        return float(args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0))
    if func is MULTI_HEAD:
        p = args[_P] if len(args) > _P else kwargs["dropout_p"]
        training = args[_TRAINING] if len(args) > _TRAINING else kwargs.get("training", True)
        return float(p) if training else 0.0
    return 0.0


def attend(
    drop: Callable[[Tensor], Tensor], query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any
) -> Tensor:
    """Return softmax(QK'/sqrt(d) + mask)V with `drop` applied to the softmax, as torch documents its fused function.

    `others` and `options` are those of torch: attn_mask, dropout_p, is_causal, scale, enable_gqa.

    >>> q, k, v = torch.tensor([[[0.0]]]), torch.zeros(1, 2, 1), torch.tensor([[[2.0], [4.0]]])
    >>> attend(lambda weights: weights * torch.tensor([2.0, 0.0]), q, k, v).item()
    2.0
    """
    options |= dict(zip(("attn_mask", "dropout_p", "is_causal"), others, strict=False))
    attn_mask, scale = options.get("attn_mask"), options.get("scale")
    if options.get("enable_gqa"):
        key, value = (t.repeat_interleave(query.size(-3) // t.size(-3), -3) for t in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.size(-1) ** -0.5 if scale is None else scale)
    if options.get("is_causal"):
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return drop(scores.softmax(-1)) @ value
