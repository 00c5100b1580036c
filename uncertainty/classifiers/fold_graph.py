"""Fold a traced graph: batch norm and padding go into the convolution beside them, and activations write in place."""

from __future__ import annotations

import inspect
import operator
from copy import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor, fx, nn

from uncertainty.classifiers.graph_nodes import (
    Convolution,
    convolution_of,
    copied,
    first_input,
    follows,
    layer_of,
    tensor_of,
)

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish)
_ACTIVATION_CALLS = (F.relu, F.relu6, F.silu, F.hardswish)
_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")  # as F.batch_norm calls them
_SHAPES, _SHAPE_CALLS = ("ndim", "shape"), ("dim", "size")
_SUMS = (operator.add, torch.add)


class _Norm(NamedTuple):
    mean: Tensor
    variance: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    eps: float


def fold_graph(traced: fx.GraphModule) -> tuple[fx.GraphModule, int, tuple[nn.Module, ...], tuple[Tensor, ...]]:
    """Return a folded graph beside the traced one, how many norms, which modules and which tensors went into it.

    Only what is in eval mode is folded, and only what a user has not replaced by a class of his own.
    """
    graph = copied(traced)
    nodes = graph.graph
    replaced: list[nn.Module] = []
    sources: list[Tensor] = []
    norms = 0
    for node in list(nodes.nodes):
        if (pair := _pair(graph, node)) is not None:
            before, convolution, norm = pair
            replaced += [m for n in (before, node) if (m := layer_of(graph, n)) is not None]
            sources += [t for t in (*convolution, *norm[:4]) if t is not None]
            _put(graph, before, folded(convolution, norm))
            node.replace_all_uses_with(before)
            nodes.erase_node(node)
            norms += 1
    if norms:
        replaced += [m for node in list(nodes.nodes) for m in _padded_by_itself(graph, node)]
        replaced += [m for node in nodes.nodes if (m := _in_place(graph, node)) is not None]
        nodes.eliminate_dead_code()
        graph.recompile()
    return graph, norms, tuple(replaced), tuple(sources)


def folded(convolution: Convolution, norm: _Norm) -> Convolution:
    """Return the convolution that does both; computed in double precision.

    >>> one, two = torch.ones(1, 1, 1), torch.tensor([2.0])
    >>> made = folded(Convolution(3 * one, None), _Norm(two, torch.tensor([0.25]), two, torch.tensor([1.0]), 0.0))
    >>> made.weight.item(), made.bias.item()  # 2 (3 x - 2) / 0.5 + 1
    (12.0, -7.0)
    """
    weight, bias = convolution
    gamma = 1.0 if norm.gamma is None else norm.gamma.double()
    scale = gamma / torch.sqrt(norm.variance.double() + norm.eps)
    moved = ((0.0 if bias is None else bias.double()) - norm.mean.double()) * scale
    moved = moved if norm.beta is None else moved + norm.beta.double()
    scaled = weight.double() * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return Convolution(scaled.to(weight.dtype).detach(), moved.to(weight.dtype).detach())


def _pair(graph: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Convolution, _Norm] | None:
    """Return the convolution before a batch norm which nobody else reads, and both."""
    norm, before = _norm(graph, node), first_input(node)
    if norm is None or before is None or _readers(before) > 1:
        return None
    convolution = convolution_of(graph, before)
    return None if convolution is None else (before, convolution, norm)


def _norm(graph: fx.GraphModule, node: fx.Node) -> _Norm | None:
    if (module := layer_of(graph, node)) is not None:
        if type(module) not in _NORMS or module.training or module.running_mean is None:
            return None
        return _Norm(module.running_mean, module.running_var, module.weight, module.bias, module.eps)
    if node.op != "call_function" or node.target is not F.batch_norm:
        return None
    given = inspect.signature(F.batch_norm).bind(*node.args, **node.kwargs)
    given.apply_defaults()
    said = given.arguments
    mean, variance, gamma, beta = (tensor_of(graph, said[name]) for name in _NORM_TENSORS)
    unknown = any(t is None and said[name] is not None for t, name in ((gamma, "weight"), (beta, "bias")))
    if said["training"] or mean is None or variance is None or unknown:
        return None
    return _Norm(mean, variance, gamma, beta, said["eps"])


def _put(graph: fx.GraphModule, node: fx.Node, made: Convolution) -> None:
    """Let a node run the folded convolution instead of its own."""
    name = f"folded_{node.name}"
    if (module := layer_of(graph, node)) is not None:
        stand_in = copy(module)
        stand_in._parameters = {key: nn.Parameter(t, False) for key, t in made._asdict().items()}
        graph.add_submodule(name, stand_in)
        node.target = name
        return
    with graph.graph.inserting_before(node):
        for key, tensor in made._asdict().items():
            graph.register_buffer(f"{name}_{key}", tensor)
        tensors = [graph.graph.get_attr(f"{name}_{key}") for key in made._fields]
    node.args = (node.args[0], *tensors, *node.args[3:])


def _padded_by_itself(graph: fx.GraphModule, node: fx.Node) -> tuple[nn.Module, ...]:
    """Let a convolution add the zeros that a layer before it adds, alike on opposite sides; return what that replaces.

    A layer of its own copies the whole map for it: that was a sixth of a pass of EfficientNet-Lite0.
    """
    before = first_input(node)
    if before is None or len(before.users) > 1 or not follows(node, before):
        return ()
    zeros, module = layer_of(graph, before), layer_of(graph, node)
    if type(zeros) is not nn.ZeroPad2d:
        return ()
    left, right, top, bottom = zeros.padding
    if left != right or top != bottom or min(left, top) < 0:
        return ()
    if type(module) is nn.Conv2d and module.padding == (0, 0) and module.padding_mode == "zeros":
        stand_in = copy(module)
        stand_in.padding = (top, left)
        graph.add_submodule(f"padded_{node.name}", stand_in)
        node.target = f"padded_{node.name}"
    elif node.target is F.conv2d and not node.kwargs and node.args[4:5] in (((0, 0),), (0,)):
        node.args = (*node.args[:4], (top, left), *node.args[5:])
    else:
        return ()
    node.args = (before.args[0], *node.args[1:])
    graph.graph.erase_node(before)
    return (zeros,) if module is None else (zeros, module)


def _in_place(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Let an activation write over its input, where that was made for it alone; return the module it stands in for."""
    before = first_input(node)
    if before is None or _readers(before) > 1 or not _made_anew(graph, before):
        return None
    module = layer_of(graph, node)
    if module is not None and type(module) in _ACTIVATIONS and not module.inplace:
        stand_in = copy(module)
        stand_in.inplace = True
        graph.add_submodule(f"in_place_{node.name}", stand_in)
        node.target = f"in_place_{node.name}"
        replaced: nn.Module = module
        return replaced
    if node.op == "call_function" and node.target in _ACTIVATION_CALLS and len(node.args) == 1:
        node.kwargs = {**node.kwargs, "inplace": True}
    return None


def _readers(node: fx.Node) -> int:
    """How many nodes read its values, and not its shape alone, as batch norm of timm does to check it."""
    return sum(not _reads_shape(user) for user in node.users)


def _reads_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _SHAPE_CALLS
    return node.op == "call_function" and node.target is getattr and node.args[1] in _SHAPES


def _made_anew(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_function" and node.target in _SUMS:
        return True
    return convolution_of(graph, node) is not None or _norm(graph, node) is not None
