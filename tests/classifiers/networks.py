"""Small networks for 4x4 images that show one habit each, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.traced import Traced

SIZE, CLASSES, HIDDEN = 4, 3, 16
PREPROCESS = Preprocess(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class Made(nn.Module):
    """Layers by name, and a forward pass that is a function of them."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def made(forward: Callable[[Any, Tensor], Any], **layers: nn.Module) -> nn.Module:
    """Return the network in training mode, with a hidden layer, batch norm and a head, and weights from a seed."""
    given = dict(hidden=nn.Linear(3 * SIZE * SIZE, HIDDEN), norm=nn.BatchNorm1d(HIDDEN), fc=nn.Linear(HIDDEN, CLASSES))
    network = Made(forward, **(given | layers))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
    return network


def hidden(m: Any, x: Tensor) -> Tensor:
    """The trunk that most of the networks have in common."""
    return torch.relu(m.norm(m.hidden(x.flatten(1))))


def simple(p: float = 0.5) -> nn.Module:
    """Dropout before the head alone."""
    return made(lambda m, x: m.fc(m.drop(hidden(m, x))), drop=nn.Dropout(p))


def plain() -> nn.Module:
    """No dropout at all."""
    return made(lambda m, x: m.fc(hidden(m, x)))


def functional() -> nn.Module:
    """Dropout as a function, early, and with a skip connection around it."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = hidden(m, x)
        return m.fc(h + torch.relu(m.inner(F.dropout(h, 0.3, training=m.training))))

    return made(forward, inner=nn.Linear(HIDDEN, HIDDEN))


def in_place() -> nn.Module:
    """What crosses the cut is changed in place after it."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = hidden(m, x)
        dropped = m.drop(h)
        return m.fc(h.mul_(2).add_(dropped))

    return made(forward, drop=nn.Dropout(0.5))


def twice() -> nn.Module:
    """One dropout module used two times: two masks."""
    return made(lambda m, x: m.fc(m.drop(m.drop(hidden(m, x)))), drop=nn.Dropout(0.5))


def convolutional(drop: nn.Module) -> nn.Module:
    """Dropout over feature maps (b, 8, 4, 4)."""
    return made(
        lambda m, x: m.fc(m.drop(m.conv(x)).mean(dim=(2, 3))),
        conv=nn.Conv2d(3, 8, 3, padding=1),
        drop=drop,
        fc=nn.Linear(8, CLASSES),
    )


def branching(branch: bool) -> nn.Module:
    """Same numbers either way, but with `branch` a path that depends on the data, so that it can't be traced."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = hidden(m, x)
        if branch and bool((x > 1e9).any()):
            h = -h
        return m.fc(h + m.inner(m.drop(h)))

    return made(forward, inner=nn.Linear(HIDDEN, HIDDEN), drop=nn.Dropout(0.4))


def tokens(m: Any, x: Tensor) -> Tensor:
    """(b, 4, HIDDEN): each row of the image is a token."""
    return m.hidden(x.transpose(1, 2).flatten(2))


def tokenised(dropout: Callable[[Any, Tensor], Tensor]) -> nn.Module:
    """A network of tokens; `dropout` maps (b, 4, HIDDEN) to the same shape."""
    return made(
        lambda m, x: m.fc(dropout(m, tokens(m, x)).mean(1)), hidden=nn.Linear(3 * SIZE, HIDDEN), drop=nn.Dropout(0.5)
    )


def inputs(n: int, seed: int = 0) -> NDArray[np.float32]:
    """(n, 3, 4, 4) float32."""
    return np.random.default_rng(seed).normal(size=(n, 3, SIZE, SIZE)).astype(np.float32)


def names(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def classifier(module: nn.Module, **options: Any) -> Classifier:
    return Classifier.from_module(module, preprocess=PREPROCESS, **options)


def answers(classifier: Classifier, x: NDArray[np.float32], passes: int = 8, seed: int = 0) -> ModelOutputs:
    return classifier.outputs_from_inputs(names(len(x)), x, passes=passes, seed=seed)


def unfolded(classifier: Classifier) -> Classifier:
    """The same classifier, whose batch norms run by themselves."""
    network = classifier.network
    cut = replace(network.replay, lighter=None) if isinstance(network.replay, Traced) else network.replay
    return replace(classifier, network=replace(network, folded=None, replay=cut))


def uncut(classifier: Classifier) -> Classifier:
    """The same classifier, made to take T full passes."""
    return replace(classifier, network=replace(classifier.network, replay=None))


class Rows(torch.overrides.TorchFunctionMode):
    """Notes how many rows are given to each linear layer that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.linear:
            self.rows.append(len(args[0]))
        return func(*args, **(kwargs or {}))
