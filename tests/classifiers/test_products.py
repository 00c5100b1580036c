"""Convolutions of one pixel: the numbers of torch's own, and of sub-networks one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from uncertainty.classifiers.network import Network
from uncertainty.classifiers.products import AsProducts


@pytest.mark.parametrize(
    ("sides", "options"),
    [
        ((1, 1), {}),
        ((1, 1), {"bias": False}),
        ((1, 1), {"stride": 2}),
        ((1, 1), {"groups": 2}),
        ((1, 1), {"padding": 1}),
        ((1, 1), {"padding": "valid"}),
        ((3, 1), {}),
    ],
)
def test_the_numbers_are_those_of_the_convolution(sides: tuple[int, int], options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(4, 6, 1, **options), torch.randn(5, 4, *sides)
    with torch.no_grad(), AsProducts():
        found = layer(x)
    torch.testing.assert_close(found, layer(x).detach())


def test_sub_networks_at_once_answer_as_one_after_the_other() -> None:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Dropout(0.4), nn.Conv2d(8, 16, 1), nn.ReLU()]
    module = nn.Sequential(*body, nn.Dropout(0.3), nn.Conv2d(16, 3, 1), nn.Flatten()).eval()
    network = Network.probe(module, np.zeros((3, 8, 8), dtype=np.float32))
    assert network.replay is not None
    assert network.replay.stacks
    x = torch.randn(4, 3, 8, 8)
    several = network(x, 5).mc_logits
    single = Network.probe(module, np.zeros((3, 8, 8), dtype=np.float32))
    object.__setattr__(single, "replay", None)
    np.testing.assert_allclose(several, single(x, 5).mc_logits, atol=1e-5)
