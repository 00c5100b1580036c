from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import classifier, hidden, made
from uncertainty.classifiers.fingerprint import differ, rounded, steady


class Buffered(nn.Module):
    """A scale that is no part of the state dict."""

    def __init__(self, scale: float, persistent: bool) -> None:
        super().__init__()
        self.inner = networks.simple()
        self.register_buffer("scale", torch.tensor([scale]), persistent=persistent)

    def forward(self, x: Tensor) -> Any:
        return self.inner(x) * self.scale


@pytest.mark.parametrize("persistent", [True, False])
def test_buffers_of_any_kind_belong_to_it(persistent: bool) -> None:
    prints = {scale: classifier(Buffered(scale, persistent)).sha256 for scale in (1.0, 2.0)}
    assert prints[1.0] != prints[2.0]
    assert prints[1.0] == classifier(Buffered(1.0, persistent)).sha256


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_weights_that_lie_in_tuples_belong_to_it() -> None:
    def quantised(seed: int) -> nn.Module:
        module = networks.simple().eval()
        if seed:
            with torch.no_grad():
                module.get_submodule("fc").weight.mul_(1.5)
        made: nn.Module = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
        return made

    assert classifier(quantised(0)).sha256 == classifier(quantised(0)).sha256
    assert classifier(quantised(0)).sha256 != classifier(quantised(1)).sha256


class Extra(nn.Module):
    def __init__(self, state: Any) -> None:
        super().__init__()
        self.inner, self.state = networks.simple(), state

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


@pytest.mark.parametrize(
    ("a", "b"),
    [({"t": 1.0}, {"t": 2.0}), ([torch.ones(2)], [torch.zeros(2)]), (("a", 1), ("a", 2)), (torch.float16, torch.int8)],
)
def test_extra_state_belongs_to_it(a: Any, b: Any) -> None:
    assert classifier(Extra(a)).sha256 == classifier(Extra(a)).sha256 != classifier(Extra(b)).sha256


def test_state_that_no_text_describes_does_no_harm() -> None:
    assert classifier(Extra(object())).sha256 == classifier(Extra(object())).sha256


SAME = lambda: made(lambda m, x: m.fc(hidden(m, x)))  # noqa: E731 - as those below
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: made(lambda m, x: m.fc(torch.tanh(m.norm(m.hidden(x.flatten(1)))))),
    "a temperature": lambda: made(lambda m, x: m.fc(hidden(m, x)) / 1.5),
    "a normalisation": lambda: made(lambda m, x: m.fc(hidden(m, (x - 0.2) / 0.8))),
    "another order of classes": lambda: made(lambda m, x: m.fc(hidden(m, x)).flip(1)),
    "flipped pixels": lambda: made(lambda m, x: m.fc(hidden(m, x.flip(-1)))),
    "one class less likely": lambda: made(lambda m, x: m.fc(hidden(m, x)) - torch.tensor([0.0, 0.3, 0.0])),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_forward_with_the_same_weights_answers_noise_differently(kind: str) -> None:
    one, other = classifier(SAME()), classifier(OTHERS[kind]())
    assert one.sha256 == other.sha256
    kept = rounded(one.network.answers)
    assert not differ(kept, classifier(SAME()).network.answers)
    assert differ(kept, other.network.answers)


@pytest.mark.parametrize(
    "make",
    [
        lambda: made(lambda m, x: m.fc(hidden(m, x)) / 1.005),
        lambda: made(lambda m, x: m.fc(hidden(m, 1.01 * x))),
        lambda: made(lambda m, x: m.fc(hidden(m, x)), norm=nn.BatchNorm1d(networks.HIDDEN, eps=1e-2)),
    ],
)
def test_on_a_processor_little_is_enough(make: Callable[[], nn.Module]) -> None:
    kept, other = rounded(classifier(SAME()).network.answers), classifier(make()).network
    assert steady(other.module)
    assert not differ(kept, other.answers)
    assert differ(kept, other.answers, elsewhere=False)
    assert not differ(kept, classifier(SAME()).network.answers, elsewhere=False)


def test_another_dropout_answers_otherwise_too() -> None:
    kept = rounded(classifier(networks.simple(0.5)).network.answers)
    assert len(kept) == 6
    assert differ(kept, classifier(networks.simple(0.6)).network.answers)
    assert differ(kept, classifier(networks.simple(0.0)).network.answers)


def test_rounding_of_another_device_is_no_difference() -> None:
    answers = classifier(SAME()).network.answers
    noise = np.random.default_rng(0).uniform(-1e-3, 1e-3, answers.shape).astype(np.float32)
    assert not differ(rounded(answers), answers + noise * abs(answers).max())
    assert not differ(rounded(answers), answers.astype(np.float16).astype(np.float32))


def test_of_many_outputs_some_are_kept() -> None:
    answers = np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)
    kept = rounded(answers)
    assert [len(row) for row in kept] == [100, 100, 100]
    assert not differ(kept, answers)
    assert differ(kept, answers[:, ::-1])
    assert differ(kept, answers[:, :50])


def test_answers_that_are_not_finite_are_compared_too() -> None:
    answers = np.array([[np.nan, 1.0], [np.inf, 0.0]], dtype=np.float32)
    assert not differ(rounded(answers), answers)
