"""Networks whose answer is no tensor of logits, or whose last layer something follows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from uncertainty import Classifier, Preprocess
from uncertainty.errors import ModelError

HIDDEN = 8
SETTINGS = Preprocess(size=4, resize="exact")


class Made(nn.Module):
    """A hidden layer and a last one, with an end to choose."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], classes: int = 3, **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.drop, self.fc = nn.Linear(48, HIDDEN), nn.Dropout(0.5), nn.Linear(HIDDEN, classes)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.answer = forward

    def forward(self, x: Tensor) -> Any:
        return self.answer(self, self.drop(self.hidden(x.flatten(1)).relu()))


def seen(module: nn.Module, **options: Any) -> Any:
    x = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32)
    one = Classifier.from_module(module, preprocess=SETTINGS, **options)
    return one.outputs_from_inputs([f"{i}" for i in range(6)], x, passes=4)


PLAIN = Made(lambda m, h: m.fc(h))


SOFTMAX = {"output": "probabilities"}


@pytest.mark.parametrize(
    ("forward", "options"),
    [
        (lambda m, h: SimpleNamespace(logits=m.fc(h)), {}),
        (lambda m, h: {"logits": m.fc(h), "loss": None}, {}),
        (lambda m, h: {"scores": m.fc(h)}, {}),
        (lambda m, h: (m.fc(h), h), {}),
        (lambda m, h: m.fc(h)[:, :, None, None], {}),
        (lambda m, h: m.fc(h).softmax(1), SOFTMAX),
        (lambda m, h: m.fc(h).log_softmax(1), {}),
        (lambda m, h: F.linear(h, m.fc.weight, m.fc.bias), {}),
        (lambda m, h: h @ m.fc.weight.T + m.fc.bias, {}),
    ],
)
def test_the_same_network_with_another_answer_is_the_same(
    forward: Callable[[Any, Tensor], Any], options: dict[str, Any]
) -> None:
    known, found = seen(PLAIN), seen(Made(forward), **options)
    np.testing.assert_allclose(found.probs, known.probs, atol=1e-6)
    np.testing.assert_allclose(found.features, known.features, atol=1e-6)
    np.testing.assert_allclose(found.mc_probs, known.mc_probs, atol=1e-6)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, h: m.fc(h) / 3,
        lambda m, h: m.fc(h) - torch.tensor([0.5, 0.0, 2.0]),
        lambda m, h: 30 * (m.fc(h) / 30).tanh(),
        lambda m, h: m.fc(h).logsumexp(1, keepdim=True) + m.fc(h),
    ],
)
def test_features_are_found_before_what_scales_shifts_or_bends_the_logits(
    forward: Callable[[Any, Tensor], Tensor],
) -> None:
    np.testing.assert_array_equal(seen(Made(forward)).features, seen(PLAIN).features)


def test_one_output_for_two_classes() -> None:
    known = seen(Made(lambda m, h: torch.cat([-m.fc(h) / 2, m.fc(h) / 2], 1), classes=1))
    for forward, options in (
        (lambda m, h: m.fc(h), {}),
        (lambda m, h: m.fc(h)[:, 0], {}),
        (lambda m, h: m.fc(h).sigmoid(), SOFTMAX),
    ):
        found = seen(Made(forward, classes=1), binary=True, **options)
        np.testing.assert_allclose(found.probs, known.probs, atol=1e-6)
        np.testing.assert_array_equal(found.features, known.features)
        np.testing.assert_allclose(found.mc_probs, known.mc_probs, atol=1e-6)
    with pytest.raises(ModelError, match="binary=true is for a network with one output; this one has 3"):
        seen(PLAIN, binary=True)


class Squeezed(nn.Module):
    """A convolution as the last layer, rectified and averaged over places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.last = nn.Conv2d(3, HIDDEN, 3), nn.Conv2d(HIDDEN, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).relu()).relu().mean((2, 3))


def test_features_before_a_last_convolution_are_averaged_over_places() -> None:
    module = Squeezed()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32))
    expected = module.body(x).relu().mean((2, 3)).detach().numpy()
    np.testing.assert_allclose(seen(module).features, expected, atol=1e-6)


def test_a_layer_named_by_the_user_gives_the_features() -> None:
    module = Squeezed()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32))
    expected = module.body(x).mean((2, 3)).detach().numpy()
    np.testing.assert_allclose(seen(module, features="body").features, expected, atol=1e-6)
    with pytest.raises(ModelError, match="features='layer4' is no layer of the model; its last layers are body, last"):
        seen(module, features="layer4")


def test_two_heads_that_are_averaged_have_the_features_of_the_first() -> None:
    module = Made(lambda m, h: (m.fc(h) + m.second(2 * h)) / 2, second=nn.Linear(HIDDEN, 3))
    np.testing.assert_array_equal(seen(module).features, seen(PLAIN).features)


def test_a_network_with_a_weight_of_its_own_is_not_its_last_layer() -> None:
    module = Made(lambda m, h: (m.fc(h) + m.second(2 * h)) / 2 + 0 * m.token, second=nn.Linear(HIDDEN, 3))
    module.token = nn.Parameter(torch.ones(1))
    np.testing.assert_array_equal(seen(module).features, seen(PLAIN).features)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_in_another_precision_take_inputs_in_theirs(kind: torch.dtype) -> None:
    room = 1e-6 if kind is torch.float64 else 0.02
    np.testing.assert_allclose(seen(Made(lambda m, h: m.fc(h)).to(kind)).probs, seen(PLAIN).probs, atol=room)


def test_what_the_answer_means_is_part_of_the_model() -> None:
    fingerprints = {
        Classifier.from_module(PLAIN, preprocess=SETTINGS, **options).sha256
        for options in ({}, {"features": "hidden"}, {"features": "drop"})
    }
    assert len(fingerprints) == 3


@pytest.mark.parametrize(("output", "said"), [("scores", "output is 'scores'; it must be 'logits' or 'probabilities'")])
def test_what_there_is_not_is_refused(output: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        seen(PLAIN, output=output)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_logits_that_are_called_probabilities_are_refused(task: Any) -> None:
    sigmoid = Made(lambda m, h: m.fc(h).sigmoid())
    assert len(seen(sigmoid, output="probabilities", task=task)) == 6
    with pytest.raises(ModelError, match=r"output=probabilities is said, and the network answers beyond 0 and 1"):
        seen(Made(lambda m, h: 9 * m.fc(h)), output="probabilities", task=task)
