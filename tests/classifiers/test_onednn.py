"""Convolutions by oneDNN's own names: the same answers, each activation behind them, uneven zeros before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from classifiers.networks import answers, classifier, inputs, unfolded
from classifiers.test_folding import Forward, fallen, network, straight
from uncertainty import Classifier
from uncertainty.classifiers import onednn
from uncertainty.classifiers.onednn import Packed

ACTIVATIONS = [nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish(), nn.GELU(), nn.ReLU(inplace=True)]

pytestmark = pytest.mark.skipif(not onednn.usable(torch.empty(0)), reason="torch has no oneDNN here, or by other names")


def calls(one: Classifier) -> list[Packed]:
    assert one.network.folded is not None
    return [layer for layer in one.network.folded.graph.modules() if isinstance(layer, Packed)]


def shifted(x: Any) -> Any:
    """Images with values beyond 6, where ReLU6 ends."""
    return 9 * x


def alike(one: Classifier, n: int = 5) -> None:
    found, expected = answers(one, shifted(inputs(n))), answers(unfolded(one), shifted(inputs(n)))
    for there, here in ((expected.logits, found.logits), (expected.features, found.features)):
        np.testing.assert_allclose(here, there, atol=1e-5 * float(np.abs(there).max()))


@pytest.mark.parametrize("act", ACTIVATIONS, ids=repr)
def test_an_activation_runs_with_the_convolution_before_it_where_onednn_has_it(act: nn.Module) -> None:
    one = classifier(network(fallen, act=act, drop=nn.Dropout(0.5)))
    assert [layer.activation[0] != "none" for layer in calls(one)] == [not isinstance(act, nn.GELU)] * 2
    alike(one)


@pytest.mark.parametrize(
    "act", [F.relu, torch.relu, F.relu6, F.silu, F.hardswish, F.gelu], ids=lambda act: act.__name__
)
def test_so_do_functions(act: Any) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.fc(act(m.norm3(m.conv2(act(m.norm2(m.conv(x)))))).mean((2, 3)))

    one = classifier(network(forward))
    assert [layer.activation[0] != "none" for layer in calls(one)] == [act is not F.gelu] * 2
    alike(one)


def test_what_two_read_is_not_activated_for_both() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.norm2(m.conv(x))
        return m.fc((m.act(y) + m.norm3(m.conv2(y))).mean((2, 3)))

    one = classifier(network(forward))
    assert [layer.activation[0] for layer in calls(one)] == ["none", "none"]
    alike(one)


@pytest.mark.parametrize("sides", [(0, 1, 0, 1), (1, 0, 1, 0), (1, 2, 1, 1), (2, 2, 1, 2), (0, 2, 0, 2), (1, 1, 0, 3)])
@pytest.mark.parametrize(("groups", "stride"), [(8, 1), (8, 2), (1, 2)])
def test_zeros_that_are_more_on_one_side_become_zeros_of_the_kernel(
    sides: tuple[int, int, int, int], groups: int, stride: int
) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.fc(m.act(m.norm3(m.conv2(m.zeros(m.act(m.norm2(m.conv(x))))))).mean((2, 3)))

    conv2 = nn.Conv2d(8, 8, 3, stride, groups=groups)
    one = classifier(network(forward, zeros=nn.ZeroPad2d(sides), conv2=conv2))
    assert one.network.folded is not None
    left = any(isinstance(layer, nn.ZeroPad2d) for layer in _layers(one))
    uneven = max(abs(sides[0] - sides[1]), abs(sides[2] - sides[3]))
    assert left == (uneven != 1 or groups == 1)
    alike(one)


def _layers(one: Classifier) -> list[nn.Module]:
    assert one.network.folded is not None
    graph = one.network.folded.graph
    return [graph.get_submodule(str(node.target)) for node in graph.graph.nodes if node.op == "call_module"]


WAYS: dict[str, dict[str, nn.Module]] = {
    "strides and groups": {"conv2": nn.Conv2d(8, 8, 3, (2, 1), (1, 2), groups=2)},
    "holes": {"conv2": nn.Conv2d(8, 8, 3, padding=2, dilation=2)},
    "one pixel, no bias": {"conv2": nn.Conv2d(8, 8, 1, bias=False)},
    "padding by word": {"conv2": nn.Conv2d(8, 8, 3, padding="same")},
    "padding by copies": {"conv2": nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")},
}


@pytest.mark.parametrize("layers", WAYS.values(), ids=list(WAYS))
def test_other_convolutions_answer_alike(layers: dict[str, nn.Module]) -> None:
    alike(classifier(network(fallen, drop=nn.Dropout(0.5), **layers)))


@pytest.mark.parametrize("missing", ["_convolution_pointwise", "_reorder_convolution_weight"])
def test_a_torch_without_these_names_runs_the_folded_network(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def gone(*_: Any) -> Any:
        raise RuntimeError(missing)

    monkeypatch.setattr(torch.ops.mkldnn, missing, gone)
    one = classifier(network(straight))
    assert one.network.folds()
    assert not calls(one)
    alike(one)


def test_turned_off_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "available", lambda: False)
    one = classifier(network(straight))
    assert one.network.folds()
    assert not calls(one)
    alike(one)


def change(module: nn.Module) -> None:
    with torch.no_grad():
        module.get_submodule("bare").weight.mul_(-1)  # type: ignore[operator]


def put_hook(module: nn.Module) -> None:
    module.get_submodule("bare").register_forward_hook(lambda _, __, output: 2 * output)


def put_hook_on_activation(module: nn.Module) -> None:
    module.get_submodule("end").register_forward_hook(lambda _, __, output: 2 * output)


@pytest.mark.parametrize("changed", [change, put_hook, put_hook_on_activation])
def test_convolutions_without_batch_norm_are_watched_too(changed: Forward) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.fc(m.end(m.bare(m.act(m.norm2(m.conv(x))))).mean((2, 3)))

    module = network(forward, bare=nn.Conv2d(8, 8, 3, padding=1), end=nn.ReLU())
    one, x = classifier(module), inputs(20)
    assert one.network.folds()
    assert len(calls(one)) == 2
    changed(module)
    assert not one.network.folds()
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)).numpy()
    np.testing.assert_allclose(answers(one, x).logits, expected, rtol=1e-5)
