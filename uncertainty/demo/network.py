"""A small convolutional network with dropout for 8x8 digits; trained in seconds, the same from the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from uncertainty.classifiers import Classifier, Preprocess

PREPROCESS = Preprocess(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_EPOCHS, _BATCH = 60, 50


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: on a network this small, several only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class DigitsNetwork(nn.Module):
    """Images (n, 3, 8, 8) in 0..1 to logits (n, classes); the input of `fc` are 32 features."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dropout_maps = nn.Dropout(0.25)
        self.hidden = nn.Linear(16 * 4 * 4, 32)
        self.dropout_features = nn.Dropout(0.5)
        self.fc = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        x = self.dropout_maps(self.pool(x)).flatten(1)
        logits: Tensor = self.fc(self.dropout_features(torch.relu(self.hidden(x))))
        return logits


def classifier() -> Classifier:
    """Return the untrained classifier: the factory that the demo's model spec names."""
    return Classifier.from_module(DigitsNetwork(), [str(digit) for digit in range(10)], PREPROCESS)


def train(images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int) -> DigitsNetwork:
    """Train on (n, 8, 8, 3) images; the same seed gives the same weights, and torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitsNetwork(int(labels.max()) + 1).train()
        inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        _fit(network, inputs, torch.tensor(labels))
    return network.eval()


def save(network: nn.Module, path: Path) -> None:
    """Write the weights as .safetensors."""
    save_file(network.state_dict(), path)


def _fit(network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(_EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs)), _BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
