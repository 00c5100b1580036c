"""Small networks of several labels, each trained here by binary cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from experiments.shared.image_sets import Images
from experiments.shared.resnet20 import ResNet20

TILES_EPOCHS, DIGITS_EPOCHS = 3, 30
TILES_SEED = 0
_BATCH = 50


class TilesNetwork(ResNet20):
    """Pictures (n, 3, 64, 64) to logits (n, classes); the input of `fc` are 128 features, means and maxima of maps."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.fc = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        features = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.fc(self.dropout_features(features))
        return logits


def tiles_network(classes: int, weights: Path) -> nn.Module:
    """Return a network that starts from what a ResNet-20 learnt of single photographs."""
    from safetensors.torch import load_file

    module = TilesNetwork(classes)
    old = {name: value for name, value in load_file(weights).items() if not name.startswith("fc.")}
    module.load_state_dict(old | {"fc.weight": module.fc.weight, "fc.bias": module.fc.bias})
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def trained(
    make: Callable[[], nn.Module], inputs: Tensor, labels: NDArray[np.int64], epochs: int, seed: int
) -> nn.Module:
    """Make a network and train it on inputs (n, 3, h, w) and labels (n, classes); a seed gives the same weights."""
    truth = torch.tensor(labels, dtype=torch.float32)
    steps = epochs * -(-len(inputs) // _BATCH)
    with _seeded(seed):
        module = make()  # its first weights are drawn by the seed as well
        optimizer = torch.optim.Adam(module.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        module.train()
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(inputs)), _BATCH):
                optimizer.zero_grad()
                loss = functional.binary_cross_entropy_with_logits(module(inputs[rows]), truth[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return module.eval()


def kept_network(file: Path, make: Callable[[], nn.Module], train: Callable[[], nn.Module]) -> nn.Module:
    """Train a network that `make` makes as well, or read the weights that were kept; delete the file to train again."""
    from safetensors.torch import load_file, save_file

    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        save_file({name: value.contiguous() for name, value in train().state_dict().items()}, unfinished)
        unfinished.replace(file)
    module = make()
    module.load_state_dict(load_file(file))
    return module.eval()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw by a seed, and add in one order whatever the number of threads."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def as_inputs(images: Images, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return pixels as a network reads them: (n, 3, h, w) in 0..1, less the mean, over the spread."""
    x = torch.from_numpy(np.stack(images.pixels)).permute(0, 3, 1, 2).float() / 255
    centre, spread = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return (x - centre) / spread
