"""Cut a network before its first dropout, so that T sub-networks cost one prefix and T suffixes.

Exact: the nodes of the traced graph run in their own order; only those before the cut run once instead of T times, and
every value that crosses the cut (skip connections too) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from uncertainty.classifiers.dropout import SharedMasks


@dataclass(frozen=True, eq=False)
class Replay:
    """A traced network in two parts, which share the modules and weights of the original."""

    before: fx.GraphModule
    after: fx.GraphModule

    def prefix(self, inputs: Tensor) -> tuple[Any, ...]:
        """Run everything before the first dropout; return the values that the rest still needs."""
        values: tuple[Any, ...] = self.before(inputs)
        return values

    def suffix(self, prefix: tuple[Any, ...]) -> Any:
        """Run from the first dropout to the output, leaving `prefix` as it is."""
        # Copies, since what follows may work in place.
        return self.after(*(value.clone() if isinstance(value, Tensor) else value for value in prefix))


def cut_before_dropout(module: nn.Module, inputs: Tensor) -> Replay | None:
    """Trace `module` (in eval mode) and find its first dropout; None where it can't be traced or gives another answer.

    A network whose path depends on its input can't be traced; the caller then runs T full passes, which is as exact.
    """
    try:
        if not can_replay(module):
            return None
        graph = fx.symbolic_trace(module)
        replay = _split(graph, _first_dropout(graph, inputs))
        same = _agree(replay, module, inputs)
    except Exception:  # tracing runs the user's code with stand-ins for tensors: anything may be raised
        return None
    return replay if same else None


def can_replay(module: nn.Module) -> bool:
    """Whether no part of the network that tracing takes apart has a forward hook now, since a replay would skip it."""
    tracer = fx.Tracer()
    parts = (m for name, m in module.named_modules() if not name or not tracer.is_leaf_module(m, name))
    return not any(part._forward_hooks or part._forward_pre_hooks for part in parts)


def _first_dropout(graph: fx.GraphModule, inputs: Tensor) -> int:
    interpreter = fx.Interpreter(graph, garbage_collect_values=False)
    interpreter.args_iter = iter((inputs,))
    with SharedMasks(len(inputs)) as masks:
        for position, node in enumerate(graph.graph.nodes):
            interpreter.env[node] = interpreter.run_node(node)
            if masks.calls:
                return position
    raise LookupError("no dropout call in the traced graph")


def _split(graph: fx.GraphModule, cut: int) -> Replay:
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
    return Replay(fx.GraphModule(graph, before), fx.GraphModule(graph, after))


def _agree(replay: Replay, module: nn.Module, inputs: Tensor) -> bool:
    prefix = replay.prefix(inputs)
    for pass_index in (None, 0, 1):
        with SharedMasks(len(inputs), 0, pass_index):
            answer = replay.suffix(prefix)
        with SharedMasks(len(inputs), 0, pass_index):
            expected = module(inputs)
        if not torch.equal(answer, expected):
            return False
    return True
