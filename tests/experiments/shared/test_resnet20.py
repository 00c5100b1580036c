"""The ResNet-20 of CIFAR-10."""

from __future__ import annotations

import torch

from experiments.shared import resnet20


def test_resnet_keeps_the_shapes_of_the_paper() -> None:
    network = resnet20.network()
    assert sum(p.numel() for p in network.parameters()) == 269_722  # 0.27 million in the paper's table 6
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        assert network.layer3(torch.zeros(1, 32, 16, 16)).shape == (1, 64, 8, 8)
