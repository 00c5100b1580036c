from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import HIDDEN, PREPROCESS, answers, classifier, hidden, inputs, made, uncut
from uncertainty import Classifier
from uncertainty.classifiers.network import Network
from uncertainty.errors import ModelError

NO_HEAD = "the logits don't come from a linear layer, so there are no features and no neighbour estimators"


def out_of_order() -> nn.Module:
    """`fc` is defined, and called, before other linear layers."""

    def forward(m: Any, x: Tensor) -> Tensor:
        logits = m.fc(m.middle(hidden(m, x)))
        m.aside(logits)
        return logits

    return made(forward, aside=nn.Linear(3, 7), middle=nn.Linear(HIDDEN, HIDDEN))


def by_keyword() -> nn.Module:
    return made(lambda m, x: m.fc(input=hidden(m, x)))


def head_used_before() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.fc(torch.zeros(len(x), HIDDEN))
        return m.fc(hidden(m, x))

    return made(forward)


@pytest.mark.parametrize(
    "make", [networks.plain, networks.simple, networks.functional, out_of_order, by_keyword, head_used_before]
)
def test_features_are_the_input_of_the_last_linear_layer(make: Callable[[], nn.Module]) -> None:
    module = make()
    outputs = answers(classifier(module), inputs(5))
    weight, bias = (p.detach().numpy() for p in module.get_submodule("fc").parameters())
    assert outputs.features.shape == (5, HIDDEN)
    np.testing.assert_allclose(outputs.features @ weight.T + bias, outputs.logits, atol=1e-5)
    assert abs(outputs.features).max() > 0.1


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.fc(hidden(m, x)) * (1 + x.abs().mean((1, 2, 3))[:, None] * torch.arange(3)),
        lambda m, x: m.fc(hidden(m, x)).square(),
        lambda m, x: (hidden(m, x)[:, None] - m.fc.weight).square().sum(2),
    ],
)
def test_logits_that_are_not_a_layers_have_no_features(forward: Callable[[Any, Tensor], Tensor]) -> None:
    one = classifier(made(forward))
    assert one.notes[0].startswith(NO_HEAD)
    assert answers(one, inputs(2)).features is None


def fails(m: Any, x: Tensor) -> Tensor:
    raise KeyError


def never_two(m: Any, x: Tensor) -> Tensor:
    return m.fc(hidden(m, x.reshape(3, -1)))


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda m, x: (), "returns tuple; it must return a tensor of logits"),
        (lambda m, x: m.fc(hidden(m, x))[:, :0], r"answers 3 images with shape \(3, 0\); it must be \(3, classes\)"),
        (lambda m, x: "cat", "returns str; it must return a tensor of logits"),
        (lambda m, x: {"a": m.fc(hidden(m, x)), "b": x}, r"returns dict with \['a', 'b'\]"),
        (
            lambda m, x: m.fc(hidden(m, x))[:, 0],
            "has one output; for a yes-or-no answer of two classes say binary=true",
        ),
        (lambda m, x: m.fc(hidden(m, x)).mean(0, keepdim=True), r"answers 3 images with shape \(1, 3\); it must be"),
        (lambda m, x: m.fc(hidden(m, x))[:, :, None].expand(-1, -1, 2), r"shape \(3, 3, 2\)"),
        (lambda m, x: m.fc(hidden(m, x[:, :, :3])), r"fails on an input of shape \(3, 3, 4, 4\): mat1 and mat2"),
        (fails, "fails on an input of shape .*KeyError"),
    ],
)
def test_strange_models_are_refused_in_one_line(forward: Callable[[Any, Tensor], Any], said: str) -> None:
    module = made(forward)
    with pytest.raises(ModelError, match=said) as caught:
        classifier(module)
    assert "\n" not in str(caught.value)
    assert module.training


def test_wrong_input_size_says_so() -> None:
    with pytest.raises(ModelError, match=r"fails on an input of shape \(3, 3, 224, 224\)"):
        Classifier.from_module(networks.simple())


def test_model_of_a_fixed_batch_size_is_refused() -> None:
    module = made(lambda m, x: m.fc(m.drop(hidden(m, x.reshape(3, 48)))), drop=nn.Dropout(0.5))
    with pytest.raises(ModelError, match=r"fails on an input of shape \(1, 3, 4, 4\)"):
        classifier(module)


def state(module: nn.Module) -> dict[str, Any]:
    """Everything of a module that a run has no business with."""
    return {
        "values": {k: v.clone() for k, v in module.state_dict().items()},
        "training": {name: m.training for name, m in module.named_modules()},
        "requires_grad": {name: p.requires_grad for name, p in module.named_parameters()},
        "grad": {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()},
        "hooks": {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in module.named_modules()},
    }


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


def half_frozen(module: nn.Module) -> nn.Module:
    module.train()
    module.get_submodule("norm").eval()
    for parameter in module.get_submodule("hidden").parameters():
        parameter.requires_grad = False
    module.get_submodule("fc").weight.grad = torch.ones_like(module.get_submodule("fc").weight)
    return module


@pytest.mark.parametrize(
    "make", [networks.simple, networks.functional, networks.plain, lambda: networks.branching(True)]
)
@pytest.mark.parametrize("mode", [nn.Module.train, nn.Module.eval, half_frozen])
def test_nothing_of_the_module_is_touched(make: Callable[[], nn.Module], mode: Callable[[nn.Module], Any]) -> None:
    module = make()
    mode(module)
    before = state(module)
    one = classifier(module)
    assert_same(state(module), before)
    outputs = answers(one, inputs(6))
    assert_same(state(module), before)
    # What is answered is the network in evaluation, whatever mode it was in.
    assert (answers(classifier(make().eval()), inputs(6)).logits == outputs.logits).all()


class TripsOver(nn.Module):
    """Passes values on until one is too large."""

    def forward(self, x: Tensor) -> Tensor:
        if bool((x.abs() > 1e6).any()):
            raise RuntimeError("too large")
        return x


@pytest.mark.parametrize("mode", [nn.Module.train, half_frozen])
def test_nothing_is_touched_when_the_forward_pass_raises_midway(mode: Callable[[nn.Module], Any]) -> None:
    module = made(lambda m, x: m.fc(m.trip(m.drop(hidden(m, x)))), trip=TripsOver(), drop=nn.Dropout(0.5))
    mode(module)
    one, before = classifier(module), state(module)
    with pytest.raises(RuntimeError, match="too large"):
        answers(one, inputs(2) * 1e9)
    assert_same(state(module), before)
    assert torch.overrides._get_current_function_mode() is None
    assert torch.is_grad_enabled()


def test_what_a_module_keeps_can_still_be_trained_with() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        if not hasattr(m, "scale"):
            m.scale = torch.ones(HIDDEN) * 2
        return m.fc(hidden(m, x) * m.scale)

    module = made(forward)
    answers(classifier(module), inputs(2))
    module(torch.from_numpy(inputs(2))).sum().backward()
    assert module.get_submodule("hidden").weight.grad is not None


def test_read_only_inputs_are_taken() -> None:
    one, x = classifier(networks.simple()), inputs(3)
    expected = answers(one, x).logits
    x.flags.writeable = False
    assert (answers(one, x).logits == expected).all()


def test_model_in_bfloat16() -> None:
    inner = networks.simple().to(torch.bfloat16)

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.to(torch.bfloat16))

    one = classifier(Cast())
    outputs = answers(one, inputs(4))
    assert outputs.logits.dtype == outputs.features.dtype == np.float32
    assert outputs.mc_probs.shape == (4, 8, 3)
    assert len(one.sha256) == 64


def test_a_head_alone_can_be_probed() -> None:
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(20, 4))
    network = Network.probe(head, np.zeros(20, dtype=np.float32))
    forward = network(np.ones((3, 20), dtype=np.float32), 5, 0)
    assert network.outputs == 4
    assert forward.features is not None
    assert forward.features.shape == (3, 20)
    assert forward.mc_logits is not None
    assert forward.mc_logits.shape == (3, 5, 4)


def test_no_passes_were_asked_for() -> None:
    assert answers(classifier(networks.simple()), inputs(2), passes=0).mc_probs is None
    assert PREPROCESS.size == 4


def test_autocast_replays_what_full_passes_give() -> None:
    module = networks.convolutional(nn.Dropout(0.3))
    low, full = Classifier.from_module(module, preprocess=PREPROCESS, autocast="bf16"), classifier(module)
    x = inputs(6)
    assert low.notes == full.notes == ()
    assert low.network.replay is not None
    assert low.network.replay.stacks
    found, exact = answers(low, x), answers(full, x)
    assert (found.logits != exact.logits).any()
    np.testing.assert_allclose(found.logits, exact.logits, atol=0.03)
    np.testing.assert_allclose(found.mc_probs, answers(uncut(low), x).mc_probs, atol=0.01)
    np.testing.assert_allclose(found.mc_probs, exact.mc_probs, atol=0.02)
    assert found.logits.dtype == np.float32


def test_autocast_belongs_to_the_fingerprint_and_must_be_known() -> None:
    prints = {
        Classifier.from_module(networks.simple(), autocast=a, preprocess=PREPROCESS).sha256 for a in (None, "bf16")
    }
    assert len(prints) == 2
    with pytest.raises(ModelError, match="autocast is 'int8'; it must be one of bf16, fp16"):
        Classifier.from_module(networks.simple(), autocast="int8", preprocess=PREPROCESS)


@pytest.mark.parametrize("autocast", [None, "bf16"])
def test_an_autocast_block_around_changes_no_answer(autocast: str | None) -> None:
    """torch's own keeps answering with the weights that it cast first."""
    module, x = networks.convolutional(nn.Dropout(0.3)), inputs(3)
    low = Classifier.from_module(module, preprocess=PREPROCESS, autocast=autocast)
    weights = [{name: scale * value for name, value in module.state_dict().items()} for scale in (1.0, 1.5)]

    def members() -> list[Any]:
        return [(module.load_state_dict(state), answers(low, x))[1] for state in weights]

    alone = members()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        within = members()
    assert abs(alone[0].logits - alone[1].logits).max() > 0.01
    for found, expected in zip(within, alone, strict=True):
        np.testing.assert_array_equal(found.logits, expected.logits)
        np.testing.assert_array_equal(found.mc_probs, expected.mc_probs)


def test_channels_last_only_where_the_network_bears_it() -> None:
    def viewed(m: Any, x: Tensor) -> Tensor:
        rows = x.view(x.shape[0], -1)  # fails unless the memory is in the usual order
        return m.fc(torch.relu(m.hidden(rows)) + m.conv(x).mean())

    fails = classifier(networks.made(viewed, conv=nn.Conv2d(3, 4, 1)))
    bears = classifier(networks.convolutional(nn.Dropout(0.5)))
    assert (fails.network.channels_last, bears.network.channels_last) == (False, True)
    assert not classifier(networks.simple()).network.channels_last
    assert np.isfinite(answers(fails, inputs(3)).logits).all()
