"""The graph of an exported program with layers and dropout as torch's own, which can be caught, dropped and cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import fx, nn

from uncertainty.errors import ModelError

_ATEN = torch.ops.aten
_DROPOUT: dict[Any, Callable[..., Any]] = {
    _ATEN.dropout.default: F.dropout,
    _ATEN.native_dropout.default: F.dropout,
    _ATEN.feature_dropout.default: torch.feature_dropout,
    _ATEN.alpha_dropout.default: torch.alpha_dropout,
    _ATEN.feature_alpha_dropout.default: torch.feature_alpha_dropout,
}
_PRODUCTS: dict[Any, Callable[..., Any]] = {
    _ATEN.linear.default: F.linear,
    _ATEN.matmul.default: torch.matmul,
    _ATEN.mm.default: torch.mm,
    _ATEN.addmm.default: torch.addmm,
    _ATEN.scaled_dot_product_attention.default: F.scaled_dot_product_attention,
}
_LAYERS = (_ATEN.linear.default, _ATEN.conv2d.default, _ATEN.convolution.default)
_TRAINING: dict[Any, int] = {  # batch norm, and where it says that it takes the statistics of the batch
    _ATEN.batch_norm.default: 5,
    _ATEN._native_batch_norm_legit.default: 5,
    _ATEN._native_batch_norm_legit_functional.default: 5,
    _ATEN.native_batch_norm.default: 5,
}
_USUAL: tuple[Any, ...] = ([1, 1], [0, 0], [1, 1], 1)  # stride, padding, dilation and groups of a convolution
_CHECKS = "_guards_fn"
NAMED = "named_features"
"""The layer that stands in the graph for a module of the exported network."""


def with_layers(graph_module: fx.GraphModule, features: str | None = None) -> bool:
    """Put torch's layers and functions into the graph of an exported program; return whether it was of training.

    Dropout is then that of evaluation, as it is in every module. `features` names a layer or a module of the exported
    network, whose output the layer `NAMED` then has.

    Raises ModelError: batch norm that takes the statistics of the batch, which can't be undone.
    """
    graph, of_training = graph_module.graph, False
    for node in list(graph.nodes):
        if node.op == "call_module" and node.target == _CHECKS:
            graph.erase_node(node)
        elif node.op != "call_function":
            continue
        elif _is_of_training(node):
            raise ModelError(
                "it was exported in training mode, so its batch norm takes the statistics of the batch; call .eval() "
                "on the network and export it again"
            )
        elif node.target in _DROPOUT:
            of_training |= _evaluated(node)
        elif node.target in _PRODUCTS or node.target in _LAYERS:
            _restored(graph_module, node)
    if features is not None:
        _name(graph_module, features)
    graph.lint()
    graph_module.recompile()
    graph_module._forward_pre_hooks.clear()  # checks of the shape, which is looked at before
    graph_module._forward_hooks.clear()
    return of_training


def without_dropout(graph_module: fx.GraphModule) -> None:
    """Take the calls of dropout out of a graph."""
    for node in list(graph_module.graph.nodes):
        if node.op == "call_function" and node.target in _DROPOUT.values():
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
    graph_module.recompile()


def _is_of_training(node: fx.Node) -> bool:
    place = _TRAINING.get(node.target)
    return place is not None and len(node.args) > place and node.args[place] is True


def _evaluated(node: fx.Node) -> bool:
    """Make a call of dropout one of evaluation; return whether it was of training."""
    source, p, training = node.args
    if node.target is _ATEN.native_dropout.default:
        for user in list(node.users):  # of its two answers only the first is of use
            user.replace_all_uses_with(node)
            user.graph.erase_node(user)
    node.target, node.args = _DROPOUT[node.target], (source, p, False)
    return bool(training)


def _restored(graph_module: fx.GraphModule, node: fx.Node) -> None:
    """Make a layer of a call with weights of its own, else a call of the function that everybody calls."""
    layer = _layer(graph_module, node)
    if layer is None:
        node.target = _PRODUCTS.get(node.target, node.target)
        return
    place = str(node.args[1].target).rpartition(".")[0]  # type: ignore[union-attr]
    _put(graph_module, place, layer)
    node.op, node.target, node.args, node.kwargs = "call_module", place, (node.args[0],), {}


def _layer(graph_module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the layer that a call is of: its weights are parameters side by side, and of nothing else."""
    if node.target not in _LAYERS or node.kwargs or (node.target is _ATEN.convolution.default and node.args[6]):
        return None
    names = [str(n.target) for n in node.args[1:3] if isinstance(n, fx.Node) and n.op == "get_attr"]
    places = {name.rpartition(".")[0] for name in names}
    kinds = [name.rpartition(".")[2] for name in names]
    if len(places) != 1 or "" in places or kinds not in (["weight"], ["weight", "bias"]):
        return None
    if len(names) != sum(isinstance(n, fx.Node) for n in node.args[1:3]):
        return None
    holder = graph_module.get_submodule(next(iter(places)))
    if isinstance(holder, nn.Linear | nn.Conv2d):
        return holder
    if set(dict(holder.named_parameters())) != set(kinds) or list(holder.buffers()):
        return None
    return _made(node, holder.weight, getattr(holder, "bias", None))


def _made(node: fx.Node, weight: Any, bias: Any) -> nn.Module:
    layer: nn.Module
    arguments: Any = node.args
    if node.target is _ATEN.linear.default:
        layer = nn.Linear(1, 1, bias=bias is not None, device="meta")
        layer.in_features, layer.out_features = weight.shape[1], weight.shape[0]
    else:
        rest: Any = arguments[3:] if node.target is _ATEN.conv2d.default else (*arguments[3:6], arguments[8])
        stride, padding, dilation, groups = tuple(rest) + _USUAL[len(rest) :]
        sides = {"stride": stride, "padding": padding, "dilation": dilation}
        pairs: dict[str, Any] = {name: tuple(s) if len(s) == 2 else (s[0],) * 2 for name, s in sides.items()}
        pairs |= {"groups": groups, "bias": bias is not None, "device": "meta"}
        layer = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), **pairs)
    layer.weight = weight
    if bias is not None:
        layer.bias = bias
    return layer.train(False)


def _put(graph_module: fx.GraphModule, place: str, layer: nn.Module) -> None:
    parent, _, name = place.rpartition(".")
    graph_module.get_submodule(parent).add_module(name, layer)


def _name(graph_module: fx.GraphModule, features: str) -> None:
    """Pass what a module of the exported network gave through the layer `NAMED`, unless there is one that it can be."""
    calls = {str(node.target) for node in graph_module.graph.nodes if node.op == "call_module"}
    if features in calls:
        return
    made = [node for node in graph_module.graph.nodes if features in _modules_of(node)]
    if not made:
        known = [name for node in graph_module.graph.nodes for name in _modules_of(node)]
        raise ModelError(f"features={features!r} is no layer of it; its last ones are {_last(known)}")
    graph_module.add_submodule(NAMED, nn.Identity())
    with graph_module.graph.inserting_after(made[-1]):
        named = graph_module.graph.call_module(NAMED, ())
    made[-1].replace_all_uses_with(named)
    named.args = (made[-1],)


def _modules_of(node: fx.Node) -> list[str]:
    stack = node.meta.get("nn_module_stack") or {}
    return [str(name) for name, *_ in stack.values() if name and not str(name).startswith("_")]


def _last(names: list[str]) -> str:
    return ", ".join([*dict.fromkeys(names)][-8:]) or "none"
