"""One small network, trained for a moment, for every format: what each must answer, and with which verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty import Classifier, ModelOutputs, Preprocess, Screener

CLASSES = ("cross", "disk", "frame")
SIZE, HIDDEN = 16, 12
PREPROCESS = Preprocess(size=SIZE, resize="exact", mean=0.5, std=0.25, draft=0)
KEYS = f"size={SIZE}&resize=exact&mean=0.5&std=0.25&draft=0"
"""The same as keys of a spec."""
SAME = 1e-4


class Net(nn.Module):
    """Convolutions, an average over places and a linear layer; no dropout, so that every format has equal evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, HIDDEN, 3, stride=2),
            nn.BatchNorm2d(HIDDEN),
            nn.ReLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.fc = nn.Linear(HIDDEN, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, 16, 16) to (n, 3) logits."""
        return self.fc(self.body(images))  # type: ignore[no-any-return]


def pictures(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return (n, 16, 16, 3) pictures of three shapes in colours of their own, and of much noise; and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), n)
    y, x = np.mgrid[:SIZE, :SIZE]
    centre = rng.integers(6, 10, (n, 2))[:, :, None, None]
    down, right = np.abs(y - centre[:, 0]), np.abs(x - centre[:, 1])
    shapes = np.stack([np.minimum(down, right) < 1, down**2 + right**2 < 16, np.maximum(down, right) == 4])
    shown = shapes[labels, np.arange(n)][..., None]
    colours = np.array([[180, 130, 110], [130, 180, 110], [130, 110, 180]])[labels][:, None, None]
    values = np.where(shown, colours, 110) + rng.normal(0, 80, (n, SIZE, SIZE, 3))
    return values.clip(0, 255).astype(np.uint8), labels


@cache
def network() -> nn.Module:
    """Return the network once it has learnt, in evaluation mode; the same one each time."""
    torch.manual_seed(0)
    module = Net()
    teach(module, module)
    return module.eval()


def teach(module: nn.Module, answer: Callable[[Tensor], Tensor]) -> None:
    """Train a module for a moment; `answer` gives its logits."""
    pixels, labels = pictures(600, 0)
    x, y = torch.from_numpy(np.stack([PREPROCESS(one) for one in pixels])), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for step in range(60):
        rows = slice(step % 6 * 100, step % 6 * 100 + 100)
        optimiser.zero_grad()
        nn.functional.cross_entropy(answer(x[rows]), y[rows]).backward()
        optimiser.step()


@cache
def classifier() -> Classifier:
    """Return the classifier that all others are held against."""
    return Classifier.from_module(network(), CLASSES, PREPROCESS)


def seen(one: Classifier, n: int, seed: int, **options: Any) -> ModelOutputs:
    """Return what a classifier says of pictures, with their labels."""
    pixels, labels = pictures(n, seed)
    return replace(one.run(list(pixels), **options), labels=labels)


@cache
def screener() -> Screener:
    """Return a screener that was fitted to the torch module."""
    return Screener.fit_outputs(seen(classifier(), 200, 1), seen(classifier(), 300, 2), classes=CLASSES)


@cache
def expected() -> NDArray[np.float64]:
    """(60,) p_wrong of new pictures by the torch module."""
    return p_wrong(seen(classifier(), 60, 3))


def p_wrong(outputs: ModelOutputs) -> NDArray[np.float64]:
    """Return the verdicts of the screener."""
    return np.asarray(screener().screen_outputs(outputs).table["p_wrong"].to_numpy())


def check_same_verdicts(one: Classifier, **options: Any) -> None:
    """Check classes, features and `p_wrong` of a classifier that is the same network in another form."""
    assert one.classes == CLASSES
    found, known = seen(one, 60, 3, **options), seen(classifier(), 60, 3)
    np.testing.assert_allclose(found.probs, known.probs, atol=SAME)
    assert found.features is not None
    np.testing.assert_allclose(found.features, known.features, atol=SAME)
    np.testing.assert_allclose(p_wrong(found), expected(), atol=SAME)


def other_network() -> nn.Module:
    """Return the same architecture with other weights."""
    module = Net()
    module.load_state_dict({name: value * 1.01 for name, value in network().state_dict().items()}, strict=False)
    return module.eval()
