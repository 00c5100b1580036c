"""ResNet-20 for CIFAR-10 with two dropout layers: He et al. 2016, section 4.2, shortcuts without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
INPUT_SIZE = 32


class Block(nn.Module):
    """Two 3x3 convolutions; a shortcut that narrows takes every second pixel and pads the channels with zeros."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.padding = (channels - channels_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        padded = functional.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(out + padded)


class ResNet20(nn.Module):
    """Images (n, 3, 32, 32), normalised with MEAN and STD, to logits (n, 10); the input of `fc` are 64 features."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, stride=1)
        self.layer2 = _stage(16, 32, stride=2)
        self.dropout_maps = nn.Dropout(0.1)
        self.layer3 = _stage(32, 64, stride=2)
        self.dropout_features = nn.Dropout(0.2)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        x = self.layer3(self.dropout_maps(x))
        features = x.mean(dim=(2, 3))
        logits: Tensor = self.fc(self.dropout_features(features))
        return logits


def network() -> nn.Module:
    """Return the untrained network in evaluation mode; its weights come from a safetensors file."""
    return ResNet20().eval().to(memory_format=torch.channels_last)


def _stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    blocks = [Block(channels_in if i == 0 else channels, channels, stride if i == 0 else 1) for i in range(3)]
    return nn.Sequential(*blocks)
