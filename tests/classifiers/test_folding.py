from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils import parametrize

from classifiers.networks import answers, classifier, inputs, made, unfolded
from uncertainty.classifiers.even_products import EvenProducts
from uncertainty.classifiers.heat_maps import heat_maps

Forward = Callable[[Any, Tensor], Any]


class Padded(nn.Conv2d):
    """A convolution with a forward pass of its own, which a trace takes apart."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


class StaticallyPadded(nn.Conv2d):
    """As networks converted from TensorFlow write it: a layer in the convolution pads."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.zeros = nn.ZeroPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.zeros(x), self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Norm(nn.BatchNorm2d):
    """As libraries write it: the function, by their own words."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(
            F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.1, self.eps)
        )


class Checked(nn.BatchNorm2d):
    """As timm writes it: what it gets is looked at first."""

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.ndim == 4, f"{x.ndim} axes")
        torch._assert(x.size(1) == 8, "8 channels")
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.1, self.eps)


class Doubled(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return 2 * w


def network(forward: Forward, **layers: nn.Module) -> nn.Module:
    """Two convolutions with batch norm that has seen something, and a head."""
    own = dict(
        conv=nn.Conv2d(3, 8, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(8),
        act=nn.ReLU(),
        conv2=nn.Conv2d(8, 8, 3, padding=1),
        norm3=nn.BatchNorm2d(8),
        fc=nn.Linear(8, 3),
    )
    module = made(forward, **(own | layers))
    generator = torch.Generator().manual_seed(6)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None:
            m.running_mean.copy_(torch.randn(8, generator=generator))
            m.running_var.copy_(1 + torch.rand(8, generator=generator))
    return module


def straight(m: Any, x: Tensor) -> Any:
    x = m.act(m.norm2(m.conv(x)))
    return m.fc(torch.relu(m.norm3(m.conv2(x)) + x).mean((2, 3)))


def fallen(m: Any, x: Tensor) -> Any:
    return m.fc(m.drop(m.act(m.norm3(m.conv2(m.drop(m.act(m.norm2(m.conv(x)))))))).mean((2, 3)))


FOLDED: dict[str, tuple[Forward, dict[str, nn.Module], int]] = {
    "module after module": (straight, {}, 2),
    "dropout between": (fallen, {"drop": nn.Dropout(0.5)}, 2),
    "a convolution's own forward": (straight, {"conv": Padded(3, 8, 3)}, 2),
    "batch norm as a function": (straight, {"norm2": Norm(8)}, 2),
    "a shape that is checked": (straight, {"norm2": Checked(8)}, 2),
    "no weights of its own": (straight, {"norm2": nn.BatchNorm2d(8, affine=False)}, 2),
    "grouped": (straight, {"conv2": nn.Conv2d(8, 8, 3, padding=1, groups=4)}, 2),
    "one convolution twice": (
        lambda m, x: m.fc(m.act(m.norm3(m.conv2(m.act(m.norm2(m.conv2(m.conv(x))))))).mean((2, 3))),
        {},
        2,
    ),
    "read by two": (lambda m, x: m.fc((m.norm2(y := m.conv(x)) + m.norm3(m.conv2(y))).mean((2, 3))), {}, 1),
}


@pytest.mark.parametrize("case", FOLDED.values(), ids=list(FOLDED))
def test_folded_network_answers_alike(case: tuple[Forward, dict[str, nn.Module], int]) -> None:
    forward, layers, norms = case
    one, x = classifier(network(forward, **layers)), inputs(5)
    assert one.network.folded is not None
    assert one.network.folds()
    assert one.network.folded.norms == norms
    found, expected = answers(one, x), answers(unfolded(one), x)
    scale = float(np.abs(expected.logits).max())
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5 * scale)
    np.testing.assert_allclose(found.features, expected.features, atol=1e-5 * float(np.abs(expected.features).max()))
    if one.network.dropout:
        np.testing.assert_allclose(found.mc_probs, expected.mc_probs, atol=1e-5)


def padded(m: Any, x: Tensor) -> Any:
    return m.fc(m.act(m.norm3(m.conv2(m.zeros(m.act(m.norm2(m.conv(x))))))).mean((2, 3)))


def padded_and_read(m: Any, x: Tensor) -> Any:
    y = m.zeros(m.conv(x))
    return m.fc((m.norm3(m.conv2(y)) + m.norm2(m.conv2(y))).mean((2, 3)))


BARE = nn.Conv2d(8, 8, 3)
ZEROS: dict[str, tuple[Forward, dict[str, nn.Module], int]] = {
    "module before module": (padded, {"zeros": nn.ZeroPad2d((1, 1, 2, 2)), "conv2": BARE}, 0),
    "in a convolution's own forward": (straight, {"conv": StaticallyPadded(3, 8, 3)}, 0),
    "more on one side": (padded, {"zeros": nn.ZeroPad2d((0, 1, 0, 1)), "conv2": BARE}, 1),
    "cut off": (padded, {"zeros": nn.ZeroPad2d(-1), "conv2": nn.Conv2d(8, 8, 1)}, 1),
    "not zeros": (padded, {"zeros": nn.ReflectionPad2d(1), "conv2": BARE}, 1),
    "before one that pads": (padded, {"zeros": nn.ZeroPad2d(1)}, 1),
    "read by two": (padded_and_read, {"zeros": nn.ZeroPad2d(1), "conv2": BARE}, 1),
}


@pytest.mark.parametrize("case", ZEROS.values(), ids=list(ZEROS))
def test_a_convolution_adds_the_zeros_itself_where_they_are_alike(
    case: tuple[Forward, dict[str, nn.Module], int],
) -> None:
    forward, layers, left = case
    one, x = classifier(network(forward, **layers)), inputs(5)
    folded = one.network.folded
    assert folded is not None
    called = [folded.graph.get_submodule(n.target) for n in folded.graph.graph.nodes if n.op == "call_module"]
    assert sum(isinstance(layer, nn.ZeroPad2d | nn.ReflectionPad2d) for layer in called) == left
    found, expected = answers(one, x).logits, answers(unfolded(one), x).logits
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()))


def test_zeros_that_become_others_are_added_by_their_layer() -> None:
    module = network(padded, zeros=nn.ZeroPad2d(1), conv2=nn.Conv2d(8, 8, 3))
    one, x = classifier(module), inputs(4)
    zeros: Any = module.get_submodule("zeros")
    heard = zeros.register_forward_hook(lambda _, __, output: 2 * output)
    assert not one.network.folds()
    heard.remove()
    assert one.network.folds()
    zeros.padding = (0, 2, 0, 2)
    assert not one.network.folds()
    with torch.no_grad(), EvenProducts():
        expected = module.eval()(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)).numpy()
    np.testing.assert_array_equal(one.network(x).logits, expected)


def other_norm(m: Any, x: Tensor) -> Any:
    return m.fc(m.norm2(m.act(m.conv(x))).mean((2, 3)))


LEFT: dict[str, tuple[Forward, dict[str, nn.Module]]] = {
    "not behind a convolution": (other_norm, {}),
    "behind a transposed one": (other_norm, {"act": nn.ConvTranspose2d(8, 8, 1)}),
    "a path that depends on the data": (
        lambda m, x: straight(m, x) if bool(x.abs().max() < 1e9) else -straight(m, x),
        {},
    ),
    "dropout that is always on": (lambda m, x: straight(m, F.dropout(x, 0.5, training=True)), {}),
}


@pytest.mark.parametrize("case", LEFT.values(), ids=list(LEFT))
def test_what_cannot_be_folded_is_left_alone(case: tuple[Forward, dict[str, nn.Module]]) -> None:
    one = classifier(network(case[0], **case[1]))
    assert one.network.folded is None
    assert not one.network.folds()


def test_weights_that_are_made_of_others_are_left_alone() -> None:
    module = network(straight)
    parametrize.register_parametrization(module.get_submodule("conv"), "weight", Doubled())
    one = classifier(module)
    assert one.network.folded is not None
    assert one.network.folded.norms == 1


def load(module: nn.Module) -> None:
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})


def write(module: nn.Module) -> None:
    with torch.no_grad():
        module.get_parameter("conv.weight").add_(1)


def write_unseen(module: nn.Module) -> None:
    module.get_parameter("conv2.weight").data.copy_(torch.ones(8, 8, 3, 3))


def write_statistics(module: nn.Module) -> None:
    module.get_buffer("norm2.running_mean").data.zero_()


def put(module: nn.Module) -> None:
    module.get_submodule("conv").weight = nn.Parameter(torch.ones(8, 3, 3, 3))


def put_layer(module: nn.Module) -> None:
    module.norm2 = nn.BatchNorm2d(8)


def set_epsilon(module: nn.Module) -> None:
    norm: Any = module.get_submodule("norm2")
    norm.eps = 1.0


def set_padding(module: nn.Module) -> None:
    conv: Any = module.get_submodule("conv2")
    conv.padding_mode, conv._reversed_padding_repeated_twice = "circular", [1, 1, 1, 1]


def patch_norm(module: nn.Module) -> None:
    norm: Any = module.get_submodule("norm2")
    norm.forward = lambda x: 2 * x


def patch_activation(module: nn.Module) -> None:
    module.get_submodule("act").__class__ = nn.SELU


CHANGES = (load, write, write_unseen, write_statistics, put, put_layer, set_epsilon, set_padding, patch_norm)


@pytest.mark.parametrize("change", [*CHANGES, patch_activation])
@pytest.mark.parametrize("forward", [straight, fallen])
def test_other_weights_answer_for_themselves(change: Callable[[nn.Module], None], forward: Forward) -> None:
    module = network(forward, drop=nn.Dropout(0.5))
    one, x = classifier(module), inputs(4)
    assert one.network.folds()
    change(module)
    assert not one.network.folds()
    with torch.no_grad(), EvenProducts():
        expected = module.eval()(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)).numpy()
    np.testing.assert_array_equal(one.network(x, 2).logits, expected)


@pytest.mark.parametrize("layer", ["norm2", "act", "conv", "fc"])
@pytest.mark.parametrize("forward", [straight, fallen])
def test_a_hook_is_not_skipped(layer: str, forward: Forward) -> None:
    module = network(forward, drop=nn.Dropout(0.5))
    one = classifier(module)
    seen: list[int] = []
    module.get_submodule(layer).register_forward_hook(lambda _, __, output: seen.append(len(output)))
    one.network(inputs(4))
    assert 4 in seen


@pytest.mark.parametrize("forward", [straight, fallen])
def test_a_hook_of_all_modules_is_not_skipped(forward: Forward) -> None:
    one, x = classifier(network(forward, drop=nn.Dropout(0.5))), inputs(4)
    seen: list[str] = []
    for register in (register_module_forward_hook, register_module_forward_pre_hook):
        handle = register(lambda layer, *_: seen.append(type(layer).__name__))
        one.network(x)
        handle.remove()
    assert seen.count("BatchNorm2d") == 4
    assert one.network.folds()


class Scaled(nn.Module):
    """Computes with what it holds before any image is seen, as a frozen batch norm does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(8))
        self.tensor, self.settings = torch.ones(8), {"by": [1.0]}

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.get_buffer("scale") * 2 * (self.tensor + 1) * self.settings["by"][0])[:, None, None]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.scale.mul_(3),
        lambda m: setattr(m, "scale", torch.full((8,), 3.0)),
        lambda m: m.tensor.mul_(3),
        lambda m: m.settings["by"].__setitem__(0, 3.0),
    ],
)
@pytest.mark.parametrize("forward", [straight, fallen])
def test_what_a_layer_computes_with_may_change(change: Callable[[Any], None], forward: Forward) -> None:
    module = network(forward, norm3=Scaled(), drop=nn.Dropout(0.5))
    one, x = classifier(module), inputs(4)
    assert one.network.folds()
    change(module.get_submodule("norm3"))
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(one.network(x, 2).logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["norm2", "conv", "act", "conv2"])
def test_features_of_a_layer_that_would_be_folded_are_its_own(name: str) -> None:
    one = classifier(network(straight), features=name)
    layer = one.network.feature_layer
    assert layer is not None
    np.testing.assert_array_equal(answers(one, inputs(4)).features, answers(unfolded(one), inputs(4)).features)


def test_input_of_an_activation_that_is_read_again_is_not_written_over() -> None:
    def twice(m: Any, x: Tensor) -> Any:
        y = m.norm2(m.conv(x))
        return m.fc((m.act(y) + y).mean((2, 3)))

    one = classifier(network(twice))
    assert one.network.folds()
    np.testing.assert_allclose(answers(one, inputs(3)).logits, answers(unfolded(one), inputs(3)).logits, rtol=1e-4)


def test_answers_are_the_same_in_any_batch() -> None:
    one, x = classifier(network(fallen, drop=nn.Dropout(0.5))), inputs(6)
    whole = one.network(x, 4, views=("flip",))
    alone = [one.network(x[k : k + 1], 4, views=("flip",)) for k in range(6)]
    for name in ("logits", "features", "mc_logits", "tta_logits"):
        np.testing.assert_allclose(getattr(whole, name), np.concatenate([getattr(a, name) for a in alone]), atol=1e-5)


def test_heat_maps_and_gradients_are_of_the_network_itself() -> None:
    module = network(straight)
    one = classifier(module)
    maps = heat_maps(one, inputs(2), [0, 1])
    assert maps.shape == (2, 4, 4)
    assert not module.get_submodule("act").inplace
    assert [name for name, _ in module.named_modules() if "folded" in name] == []


def test_threads_do_not_see_each_other() -> None:
    module = network(fallen, drop=nn.Dropout(0.5)).train()
    one = classifier(module)
    images = [inputs(6, seed) for seed in range(4)]
    expected = [one.network(x, 4, views=("flip",)) for x in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: one.network(x, 4, views=("flip",)), images * 10))
    for k, forward in enumerate(found):
        for name in ("logits", "features", "mc_logits", "tta_logits"):
            np.testing.assert_array_equal(getattr(forward, name), getattr(expected[k % 4], name))
    assert module.training
