"""A trace holds as long as all that it took for granted is there, wherever that is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from uncertainty.classifiers.tracing import Trace


class Settings:
    def __init__(self, power: int) -> None:
        self.power = power


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("shift", torch.zeros(2))
        self.factor = 1000.5
        self.steps = [1, 2]
        self.options = {"clip": 3.5}
        self.settings = Settings(1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale + self.shift  # type: ignore[operator, no-any-return]


CHANGES: dict[str, Callable[[Any], object]] = {
    "a number": lambda net: setattr(net, "factor", 2.0),
    "a number is gone": lambda net: delattr(net, "factor"),
    "another attribute": lambda net: setattr(net, "more", 1),
    "an item of a list": lambda net: net.steps.__setitem__(0, 7),
    "a longer list": lambda net: net.steps.append(3),
    "another list": lambda net: setattr(net, "steps", [2, 1]),
    "an option": lambda net: net.options.update(clip=4.5),
    "an option more": lambda net: net.options.update(other=1),
    "another name of an option": lambda net: net.options.update(limit=net.options.pop("clip")),
    "a setting": lambda net: setattr(net.settings, "power", 3),
    "all settings": lambda net: setattr(net.settings, "__dict__", {"power": 3}),
    "a parameter of equal values": lambda net: setattr(net, "scale", nn.Parameter(torch.ones(2))),
    "a buffer of equal values": lambda net: setattr(net, "shift", torch.zeros(2)),
    "a layer": lambda net: setattr(net, "layer", nn.Linear(2, 2)),
    "a hook": lambda net: net.register_forward_hook(lambda *_: None),
    "the mode": lambda net: net.train(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(change: Callable[[Any], object]) -> None:
    net = Net().eval()
    trace = Trace.of(net)
    assert trace.holds()
    change(net)
    assert not trace.holds()


def test_equal_values_are_the_same_whatever_object_they_are() -> None:
    net = Net().eval()
    trace = Trace.of(net)
    net.factor = float("1000.5")
    assert trace.holds()
    net.factor = 2.0
    assert not trace.holds()
    net.factor = 1000.5
    assert trace.holds()
