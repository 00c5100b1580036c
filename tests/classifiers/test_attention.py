from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from uncertainty.classifiers.attention import MULTI_HEAD, attend, dropout_p

B, HEADS, LONG, WIDE = 2, 4, 5, 8
MASK = torch.tensor([[0.0, -1.0, 2.0, 0.5, 0.0]])


def drawn(seed: int, heads: int = HEADS) -> torch.Tensor:
    return torch.randn((B, heads, LONG, WIDE), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.5},
        {"attn_mask": MASK},
        {"attn_mask": MASK < 1},
        {"enable_gqa": True},
    ],
    ids=str,
)
def test_with_every_weight_kept_it_is_torchs_own(options: dict[str, Any]) -> None:
    few = 2 if options.get("enable_gqa") else HEADS
    q, k, v = drawn(0), drawn(1, few), drawn(2, few)
    found = attend(lambda weights: weights, q, k, v, **options)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v, **options))


def test_weights_are_what_is_dropped() -> None:
    seen: list[torch.Size] = []
    q = drawn(0)
    found = attend(lambda weights: seen.append(weights.shape) or weights * 0, q, q, q)
    assert seen == [(B, HEADS, LONG, LONG)]
    assert bool((found == 0).all())


def test_the_probability_is_read_from_any_way_to_give_it() -> None:
    q = drawn(0)
    attention = F.scaled_dot_product_attention
    assert dropout_p(attention, (q, q, q), {"dropout_p": 0.3}) == 0.3
    assert dropout_p(attention, (q, q, q, None, 0.3), {}) == 0.3
    assert dropout_p(attention, (q, q, q), {}) == 0
    multi = (q, q, q, 8, 2, None, None, None, None, False, 0.3, q, None)
    assert dropout_p(MULTI_HEAD, multi, {}) == 0.3
    assert dropout_p(MULTI_HEAD, multi, {"training": False}) == dropout_p(MULTI_HEAD, (*multi, False), {}) == 0
    assert dropout_p(F.relu, (q,), {}) == 0
