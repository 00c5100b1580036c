"""Cut a network by its graph: the nodes before the first dropout, and the others.

Exact: the nodes of the traced graph run in their own order; only those before the cut run once instead of T times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.dropout import SharedMasks, is_dropout
from uncertainty.classifiers.replay import Replay, hooked

_PLAIN = (bool, int, float, str)
_OWN = (Tensor, nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant


@dataclass(frozen=True, eq=False)
class Traced(Replay):
    """A traced network in two parts, which share the modules and weights of the original.

    `parts` are the modules that tracing took apart, `traced` their attributes then.
    """

    parts: tuple[nn.Module, ...]
    traced: tuple[Any, ...]
    halves: tuple[fx.GraphModule, fx.GraphModule]

    def begin(self, inputs: Tensor) -> tuple[Any, tuple[Any, ...] | None]:
        """Run the first part, then the second."""
        prefix = self.prefix(inputs)
        return (None if prefix is None else self.suffix(prefix)), prefix

    def prefix(self, inputs: Tensor) -> tuple[Any, ...] | None:
        """Run the first part, unless what it was taken from has a hook or other attributes now: it would skip them."""
        if not self.is_as_traced():
            return None
        values: tuple[Any, ...] = self.halves[0](inputs)
        return values

    def is_as_traced(self) -> bool:
        """Whether what was taken apart has no hook and the attributes that it had."""
        return not any(map(hooked, self.parts)) and self.traced == _attributes(self.parts)

    def after(self, *values: Any) -> Any:
        """Run the second part."""
        return self.halves[1](*values)

    def later(self) -> Iterable[nn.Module]:
        """Return the layers of the second part."""
        return self.halves[1].modules()


def traced_before_dropout(module: nn.Module, inputs: Tensor) -> Traced:
    """Trace `module` (in eval mode) and find its first dropout; any error of its own code, or LookupError."""
    if any(map(hooked, parts := _taken_apart(module))):
        raise LookupError("a hook would be skipped")
    graph = fx.symbolic_trace(module)
    first, *halves = _split(graph, _first_dropout(graph, inputs))
    return Traced(first, parts, _attributes(parts), (halves[0], halves[1]), stacks=True)


def _taken_apart(module: nn.Module) -> tuple[nn.Module, ...]:
    tracer = fx.Tracer()
    return tuple(m for name, m in module.named_modules() if not name or not tracer.is_leaf_module(m, name))


def _attributes(parts: tuple[nn.Module, ...]) -> tuple[Any, ...]:
    """What of each part a trace took for granted: plain values as they are, everything else by identity.

    Of lists, dictionaries and objects of settings that a part holds, what lies in them too.
    """
    return tuple(
        (name, _value(value))
        for part in parts
        for values in (vars(part), part._parameters, part._buffers, part._modules)
        for name, value in values.items()
    )


def _value(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple):
        return tuple(item if type(item) in _PLAIN else id(item) for item in value)
    held = value if type(value) is dict else None if isinstance(value, _OWN) else getattr(value, "__dict__", None)
    if type(held) is not dict:
        return id(value)
    return id(value), tuple((name, item if type(item) in _PLAIN else id(item)) for name, item in held.items())


def _first_dropout(graph: fx.GraphModule, inputs: Tensor) -> int:
    interpreter = fx.Interpreter(graph, garbage_collect_values=False)
    interpreter.args_iter = iter((inputs,))
    with SharedMasks(len(inputs)) as masks:
        for position, node in enumerate(graph.graph.nodes):
            interpreter.env[node] = interpreter.run_node(node)
            if masks.calls:
                return position
    raise LookupError("no dropout call in the traced graph")


def _split(graph: fx.GraphModule, cut: int) -> tuple[int | None, fx.GraphModule, fx.GraphModule]:
    nodes = list(graph.graph.nodes)
    later = set(nodes[cut:])
    crossing = [node for node in nodes[:cut] if not later.isdisjoint(node.users)]
    before, after = fx.Graph(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes[:cut]:
        copies[node] = before.node_copy(node, copies.__getitem__)
    before.output(tuple(copies[node] for node in crossing))
    copies = {node: after.placeholder(node.name) for node in crossing}
    for node in nodes[cut:]:
        copies[node] = after.node_copy(node, copies.__getitem__)
    alone = [k for k, node in enumerate(crossing) if later & node.users.keys() == {nodes[cut]}]
    first = alone[0] if alone and crossing[alone[0]] in nodes[cut].args[:1] and is_dropout(graph, nodes[cut]) else None
    return first, fx.GraphModule(graph, before), fx.GraphModule(graph, after)
