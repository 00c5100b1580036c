"""An image gets the same bits in whatever batch it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers.networks import CLASSES, HIDDEN, answers, classifier, inputs, made, simple, tokenised, unfolded
from classifiers.test_folding import fallen, network
from uncertainty.classifiers.even_products import EvenProducts

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "convolutions": lambda: network(fallen, drop=nn.Dropout(0.5), conv2=nn.Conv2d(8, 8, 1)),
    "linear layers": simple,
    "tokens": lambda: tokenised(lambda m, x: m.drop(x)),
    "a wide head": lambda: made(
        lambda m, x: m.fc(m.drop(torch.relu(m.hidden(x.flatten(1))))), drop=nn.Dropout(), fc=nn.Linear(HIDDEN, 1000)
    ),
    "one output": lambda: made(
        lambda m, x: torch.cat([z := m.fc(m.drop(torch.relu(m.hidden(x.flatten(1))))), -z, 2 * z], dim=1),
        drop=nn.Dropout(),
        fc=nn.Linear(HIDDEN, 1),
    ),
}


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=list(NETWORKS))
def test_an_image_has_the_same_bits_in_any_batch(make: Callable[[], nn.Module], folded: bool, threads: int) -> None:
    with with_threads(threads):
        one, x = classifier(make()), inputs(40)
        one = one if folded else unfolded(one)
        whole = answers(one, x)
        for n in (1, 2, 15, 17, 33):
            some = answers(one, x[40 - n :])
            for column in ("logits", "features", "mc_probs"):
                if (expected := getattr(whole, column)) is not None:
                    np.testing.assert_array_equal(getattr(some, column), expected[40 - n :])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("given", "made_of"), [(512, 1), (1280, 2), (64, 10), (300, 1000)])
def test_linear_layers_of_usual_sizes(given: int, made_of: int, threads: int) -> None:
    layer, x = nn.Linear(given, made_of), torch.from_numpy(np.random.default_rng(0).normal(size=(70, given))).float()
    with with_threads(threads), torch.no_grad(), EvenProducts():
        whole = layer(x)
        assert all(torch.equal(layer(x[:n]), whole[:n]) for n in (1, 2, 15, 33, 64))
    with torch.no_grad():
        torch.testing.assert_close(whole, layer(x))


def test_gradients_and_other_types_are_left_to_torch() -> None:
    layer, x = nn.Linear(HIDDEN, CLASSES), torch.randn(2, HIDDEN)
    heard: list[int] = []

    class Heard(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.nn.functional.linear:
                heard.append(len(args[0]))
            return func(*args, **(kwargs or {}))

    def rows(x: Tensor, layer: nn.Module) -> int:
        heard.clear()
        with Heard(), EvenProducts():
            layer(x)
        return heard[0]

    assert rows(x, layer) == 2
    with torch.no_grad():
        assert rows(x.double(), layer.double()) == 2
        assert rows(x[:0], layer.float()) == 0
        with torch.autocast("cpu", torch.bfloat16):
            assert rows(x, layer) == 2
