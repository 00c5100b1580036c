"""Convolutions of a folded graph by oneDNN's own names: weights laid out once, and the activation behind them too.

The one place that names what torch keeps for its compiler (`torch.ops.mkldnn`, as `torch/_inductor/mkldnn_ir.py` calls
it). What is not there, or raises, leaves the folded network as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor, fx, nn

from uncertainty.classifiers.graph_nodes import convolution_of, copied, first_input, follows, layer_of

_ACTIVATIONS: dict[Any, tuple[str, tuple[float, ...]]] = {
    nn.ReLU: ("relu", ()),
    F.relu: ("relu", ()),
    torch.relu: ("relu", ()),
    nn.ReLU6: ("hardtanh", (0.0, 6.0)),
    F.relu6: ("hardtanh", (0.0, 6.0)),
    nn.SiLU: ("swish", ()),
    F.silu: ("swish", ()),
    nn.Hardswish: ("hardswish", ()),
    F.hardswish: ("hardswish", ()),
}
_NONE = ("none", ())
_FEW_CHANNELS = 4  # read by one output: a larger kernel is then cheaper than a copy of the map


class Settings(NamedTuple):
    """Of a convolution of two axes."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


_Found = tuple[Tensor, Tensor | None, Settings]
_Sizes = Mapping[str, tuple[int, ...]]


class Packed(nn.Module):
    """A convolution and the activation behind it in one call; `size` is the shape of an input to lay weights out for.

    (n, c, h, w) float32 to (n, k, h', w') float32, on the processor and without gradients.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        settings: Settings,
        size: tuple[int, ...],
        activation: tuple[str, tuple[float, ...]] = _NONE,
    ) -> None:
        super().__init__()
        stride, padding, dilation, groups = settings
        self.settings = (padding, stride, dilation, groups)  # in oneDNN's order
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(weight.detach(), *self.settings, size)
        self.bias = None if bias is None else bias.detach()
        self.activation = activation[0], list(activation[1])

    def forward(self, x: Tensor) -> Tensor:
        """Run both."""
        answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.settings, *self.activation, ""
        )
        return answer


def usable(images: Tensor) -> bool:
    """Whether oneDNN is there, is not turned off, and runs what these are given to."""
    names = ("_convolution_pointwise", "_reorder_convolution_weight")
    on_processor = images.device.type == "cpu" and images.dtype is torch.float32
    return on_processor and available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def available() -> bool:
    """Whether oneDNN is there and not turned off."""
    there: Any = torch.backends.mkldnn
    return bool(there.is_available() and there.enabled)


def packed(graph: fx.GraphModule, images: Tensor) -> tuple[fx.GraphModule, tuple[nn.Module, ...], tuple[Tensor, ...]]:
    """Return a graph whose convolutions run by oneDNN, and the layers and tensors that these stand in for.

    Zeros that a layer before adds, one more on one side than on the other, become zeros of the kernel, which then reads
    one pixel more: for convolutions with few channels that is less work than to copy the map.
    """
    made = copied(graph)
    nodes = made.graph
    shapes = _Shapes(made)
    shapes.run(images.clone())
    layers: list[nn.Module] = []
    sources: list[Tensor] = []
    for node in list(nodes.nodes):
        if (found := _convolution(made, node)) is not None and len(shapes.seen.get(node.name, ())) == 4:
            layers += _replaced(made, node, found, shapes.seen)
            sources += [tensor for tensor in found[:2] if tensor is not None]
    nodes.eliminate_dead_code()
    made.recompile()
    return made, tuple(layers), tuple(sources)


def _replaced(made: fx.GraphModule, node: fx.Node, found: _Found, seen: _Sizes) -> list[nn.Module]:
    """Put a packed convolution in the place of a node, of zeros before and of the activation behind it."""
    weight, bias, settings = found
    behind, before = _activation(made, node), first_input(node)
    stood_for = [layer_of(made, node), layer_of(made, behind)]
    if before is not None and (kernel := _kernel_with_zeros(made, node, before, found)) is not None:
        stood_for.append(layer_of(made, before))
        weight, settings = kernel
        node.replace_input_with(before, before.all_input_nodes[0])
        made.graph.erase_node(before)
    size = seen[node.name if before is None or weight is found[0] else before.name]
    activation = _NONE if behind is None else _ACTIVATIONS[_kind(made, behind)]
    name = f"packed_{node.name}"
    made.add_submodule(name, Packed(weight, bias, settings, size, activation))
    node.op, node.target, node.args, node.kwargs = "call_module", name, (node.args[0],), {}
    if behind is not None:
        behind.replace_all_uses_with(node)
        made.graph.erase_node(behind)
    return [layer for layer in stood_for if layer is not None]


class _Shapes(fx.Interpreter):
    """Runs a graph and notes of which shape the first argument of each node was."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.seen: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        first = self.env.get(n.args[0]) if n.args and isinstance(n.args[0], fx.Node) else None
        if isinstance(first, Tensor):
            self.seen[n.name] = tuple(first.shape)
        return super().run_node(n)


def _convolution(graph: fx.GraphModule, node: fx.Node) -> _Found | None:
    if (learnt := convolution_of(graph, node)) is None:
        return None
    layer = layer_of(graph, node)
    settings = _of_call(node) if layer is None else _of_layer(layer)
    return None if settings is None else (*learnt, settings)


def _of_layer(layer: nn.Module) -> Settings | None:
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    said: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return Settings(*said)


def _of_call(node: fx.Node) -> Settings | None:
    given: list[Any] = [*node.args[3:], *(1, 0, 1, 1)[len(node.args[3:]) :]]
    sides = [(one, one) if isinstance(one, int) else one for one in given[:3]]
    if node.target is not F.conv2d or not all(isinstance(one, tuple | list) and len(one) == 2 for one in sides):
        return None
    stride, padding, dilation = ((one[0], one[1]) for one in sides)
    return Settings(stride, padding, dilation, given[3])


def _kernel_with_zeros(
    graph: fx.GraphModule, node: fx.Node, before: fx.Node, found: _Found
) -> tuple[Tensor, Settings] | None:
    """Return a kernel with rows and columns of zeros, and settings, that do the padding of a layer before it."""
    weight, _, settings = found
    zeros = layer_of(graph, before)
    if type(zeros) is not nn.ZeroPad2d or len(before.users) > 1 or not follows(node, before):
        return None
    left, right, top, bottom = zeros.padding
    uneven = max(abs(left - right), abs(top - bottom))
    plain = settings.padding == (0, 0) and settings.dilation == (1, 1) and weight.shape[1] <= _FEW_CHANNELS
    if not plain or uneven != 1 or min(left, right, top, bottom) < 0:
        return None
    more = (max(right - left, 0), max(left - right, 0), max(bottom - top, 0), max(top - bottom, 0))
    return F.pad(weight.detach(), more), settings._replace(padding=(max(top, bottom), max(left, right)))


def _activation(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return the only reader of a convolution where it is an activation that oneDNN knows."""
    behind = next(iter(node.users), None)
    if behind is None or len(node.users) > 1 or behind.args[:1] != (node,):
        return None
    return behind if _kind(graph, behind) in _ACTIVATIONS else None


def _kind(graph: fx.GraphModule, node: fx.Node) -> Any:
    """Return the type of a layer, or the function that is called."""
    layer = layer_of(graph, node)
    return type(layer) if layer is not None else node.target if node.op == "call_function" else None
