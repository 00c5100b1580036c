"""What stands behind the nodes of a traced graph: layers, tensors, convolutions, and what comes before what."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor, fx, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONVOLUTION_CALLS = (F.conv1d, F.conv2d, F.conv3d)


class Convolution(NamedTuple):
    """What a convolution has learnt."""

    weight: Tensor
    bias: Tensor | None


def copied(graph: fx.GraphModule) -> fx.GraphModule:
    """Return a graph of the same nodes and layers, to be changed beside the first."""
    nodes = fx.Graph()
    nodes.output(nodes.graph_copy(graph.graph, {}))
    return fx.GraphModule(graph, nodes)


def layer_of(graph: fx.GraphModule, node: Any) -> Any:
    """Return the layer that a node calls; None where it is no such node."""
    calls = isinstance(node, fx.Node) and node.op == "call_module"
    return graph.get_submodule(str(node.target)) if calls else None


def tensor_of(graph: fx.GraphModule, node: Any) -> Tensor | None:
    """Return the tensor that a node fetches; None where it is no such node."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    *path, name = str(node.target).split(".")
    found = getattr(graph.get_submodule(".".join(path)), name)
    return found if isinstance(found, Tensor) else None


def convolution_of(graph: fx.GraphModule, node: fx.Node) -> Convolution | None:
    """Return what the convolution of a node has learnt; None where it is none, or one of a user's own class."""
    if (layer := layer_of(graph, node)) is not None:
        return Convolution(layer.weight, layer.bias) if type(layer) in _CONVOLUTIONS else None
    if node.op != "call_function" or node.target not in _CONVOLUTION_CALLS or node.kwargs:
        return None
    weight, bias = (tensor_of(graph, node.args[k]) if len(node.args) > k else None for k in (1, 2))
    said = len(node.args) > 2 and node.args[2] is not None
    return None if weight is None or (said and bias is None) else Convolution(weight, bias)


def first_input(node: fx.Node) -> fx.Node | None:
    """Return the node that is the first argument."""
    first = node.args[0] if node.args else None
    return first if isinstance(first, fx.Node) else None


def follows(node: fx.Node, before: fx.Node) -> bool:
    """Whether nothing is computed between the two, so that what the first read is still the same."""
    between = node.prev
    while between is not before and between.op == "get_attr":
        between = between.prev
    return between is before
