"""Heat maps point at what a network looks at, and leave the network as it was."""

import builtins

import numpy as np
import pytest
import torch
from torch import nn

from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.classifiers.heat_maps import METHODS, heat_maps, spatial_layer, why_unguided
from uncertainty.errors import InputError, MissingDependencyError, ModelError

pytest.importorskip("captum", reason="captum is absent: pip install '.[explain]'")

SIDE = 16
PLAIN = Preprocess(size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3)


class Halves(nn.Module):
    """Class 0 counts what is bright on the left, class 1 on the right: what a map has to find is known."""

    def __init__(self, inplace=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=inplace)
        self.dropout = nn.Dropout(0.5)
        nn.init.constant_(self.conv.weight, 1 / 27)

    def forward(self, x):
        maps = self.dropout(self.relu(self.conv(x)))
        left, right = maps[..., : SIDE // 2].mean((1, 2, 3)), maps[..., SIDE // 2 :].mean((1, 2, 3))
        return torch.stack([left, right], 1)


def classifier(**options):
    return Classifier.from_module(Halves(**options), ["left", "right"], PLAIN)


def images():
    """One image, bright everywhere, and one that is bright in its lower half."""
    both = np.ones((2, 3, SIDE, SIDE), np.float32)
    both[1, :, : SIDE // 2] = 0
    return both


@pytest.mark.parametrize("method", ["guided_backprop", "guided_grad_cam"])
@pytest.mark.parametrize("inplace", [False, True])
def test_guided_maps_lie_on_the_side_of_the_class(method, inplace):
    maps = heat_maps(classifier(inplace=inplace), images()[[0, 0]], [0, 1], method=method)
    assert maps.shape == (2, SIDE, SIDE)
    assert maps[0, 2:-2, 2 : SIDE // 2 - 1].min() > 0.99
    assert maps[0, :, SIDE // 2 + 1 :].max() == 0
    np.testing.assert_allclose(maps[1], maps[0, :, ::-1], atol=1e-6)


def test_grad_cam_is_the_formula():
    """The gradient of a mean is the same in each place, so the map is the activation: 1 below, 0 above."""
    maps = heat_maps(classifier(), images()[1:], [0])
    assert maps[0, SIDE // 2 + 1 : -1, 1:-1].min() == pytest.approx(1, abs=1e-6)
    assert maps[0, : SIDE // 2 - 1].max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_its_batch(method):
    inputs = np.random.default_rng(0).random((7, 3, SIDE, SIDE), dtype=np.float32)
    targets = np.arange(7) % 2
    whole = heat_maps(classifier(), inputs, targets, method=method)
    parts = heat_maps(classifier(), inputs, targets, method=method, batch_size=2)
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    assert whole.dtype == np.float32
    assert 0 <= whole.min() <= whole.max() <= 1


def test_nothing_that_speaks_for_the_class_gives_a_map_of_zeros():
    assert not heat_maps(classifier(), np.zeros((1, 3, SIDE, SIDE), np.float32), [0]).any()
    assert heat_maps(classifier(), np.zeros((0, 3, SIDE, SIDE), np.float32), []).shape == (0, SIDE, SIDE)


@pytest.mark.parametrize("method", METHODS)
def test_the_module_and_the_inputs_are_left_as_they_were(method):
    module = Halves(inplace=True).train()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    inputs = images()
    heat_maps(Classifier.from_module(module, ["left", "right"], PLAIN), inputs, [0, 1], method=method)
    assert module.training
    assert module.relu.inplace
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in module.modules())
    np.testing.assert_array_equal(inputs, images())


def test_a_frozen_network_has_maps_too():
    frozen = Classifier.from_module(Halves().requires_grad_(False), ["left", "right"], PLAIN)
    np.testing.assert_allclose(heat_maps(frozen, images(), [0, 1]), heat_maps(classifier(), images(), [0, 1]))


def test_the_last_layer_with_places_is_found():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    assert spatial_layer(network, images()) in ("1", "1.1")
    with pytest.raises(ModelError, match="no layer whose output is"):
        spatial_layer(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2)), images())


def test_what_can_not_be_done_is_said():
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(2 * 14 * 14, 2))
    smooth = Classifier.from_module(module, ["left", "right"], PLAIN)
    with pytest.raises(ModelError, match="this model has none; use grad_cam"):
        heat_maps(smooth, images(), [0, 1], method="guided_backprop")
    with pytest.raises(InputError, match="there is no method 'cam'"):
        heat_maps(smooth, images(), [0, 1], method="cam")
    with pytest.raises(InputError, match="1 targets for 2 images"):
        heat_maps(smooth, images(), [0])
    with pytest.raises(ModelError, match="no layer 'layer4'"):
        heat_maps(smooth, images(), [0, 1], layer="layer4")


class Reused(nn.Module):
    """Two convolutions, and between and after them ReLUs: two layers, one layer twice, or a layer and a function."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(4, 2)
        self.after = {"two": nn.ReLU(), "reused": self.relu, "mixed": torch.relu}[kind]

    def forward(self, x):
        return self.fc(self.after(self.second(self.relu(self.first(x)))).mean((2, 3)))


def test_a_layer_that_is_called_twice_is_guided_both_times():
    inputs = np.random.default_rng(0).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)
    two, reused = (Classifier.from_module(Reused(kind), ["left", "right"], PLAIN) for kind in ("two", "reused"))
    expected = heat_maps(two, inputs, [0, 1, 0], method="guided_backprop")
    np.testing.assert_allclose(heat_maps(reused, inputs, [0, 1, 0], method="guided_backprop"), expected, atol=1e-6)
    assert expected.std() > 0


def test_relus_that_are_functions_are_out_of_reach():
    assert why_unguided(Reused("two"), images()) is None
    assert "1 of 2 ReLUs of this model are functions" in why_unguided(Reused("mixed"), images())
    mixed = Classifier.from_module(Reused("mixed"), ["left", "right"], PLAIN)
    with pytest.raises(ModelError, match="guided_grad_cam can't be done: it guides"):
        heat_maps(mixed, images(), [0, 1], method="guided_grad_cam")
    heat_maps(mixed, images(), [0, 1])


def test_without_captum_the_error_says_what_to_install(monkeypatch):
    really = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("captum"):
            raise ImportError(name)
        return really(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install"):
        heat_maps(classifier(), images(), [0, 1])
