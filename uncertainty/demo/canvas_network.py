"""A small convolutional network with dropout that says which digits a picture holds; trained in seconds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.demo.canvases import CANVAS_SIDE

PREPROCESS = Preprocess(size=CANVAS_SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_EPOCHS, _BATCH, _RATE = 25, 50, 4e-3


class CanvasNetwork(nn.Module):
    """Pictures (n, 3, 20, 20) in 0..1 to logits (n, classes); the input of `fc` are 64 features."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(32 * 5 * 5, 64)
        self.dropout_features = nn.Dropout(0.3)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        x = self.pool(torch.relu(self.conv2(torch.relu(self.conv1(x)))))
        x = self.pool(torch.relu(self.conv3(x))).flatten(1)
        logits: Tensor = self.fc(self.dropout_features(torch.relu(self.hidden(x))))
        return logits


def classifier() -> Classifier:
    """Return the untrained classifier of several labels: the factory that the demo's model spec names."""
    return Classifier.from_module(CanvasNetwork(), [str(digit) for digit in range(10)], PREPROCESS, task="multilabel")


def train(images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int) -> CanvasNetwork:
    """Train on (n, 20, 20, 3) pictures and labels (n, 10); the same seed gives the same weights."""
    inputs, truth = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.tensor(labels).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CanvasNetwork(labels.shape[1]).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=_RATE)
        steps = _EPOCHS * -(-len(inputs) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in range(_EPOCHS):
            for rows in torch.split(torch.randperm(len(inputs)), _BATCH):
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy_with_logits(network(inputs[rows]), truth[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return network.eval()
