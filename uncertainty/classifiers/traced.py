"""Cut a network by its graph: the nodes before the first dropout, and the others.

Exact: the nodes of the traced graph run in their own order; only those before the cut run once instead of T times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.compiled import Compiled
from uncertainty.classifiers.dropout import SharedMasks, is_dropout
from uncertainty.classifiers.folding import Folded
from uncertainty.classifiers.replay import Replay
from uncertainty.classifiers.tracing import Trace

Halves = tuple[Callable[..., Any], fx.GraphModule]


@dataclass(frozen=True, eq=False)
class Traced(Replay):
    """A traced network in two parts, which share the modules and weights of the original.

    `dropout` is the name of the node where it is cut. `light` are two parts that give the same sooner, if there are
    any: folded ones, or one that another library runs. They run while the weights of what they are of, `lighter`, hold.
    Which parts ran is the last of the values that cross the cut.
    """

    trace: Trace
    dropout: str
    halves: tuple[fx.GraphModule, fx.GraphModule]
    lighter: Folded | Compiled | None = None
    light: Halves | None = None

    def begin(self, inputs: Tensor) -> tuple[Any, tuple[Any, ...] | None]:
        """Run the first part, then the second."""
        prefix = self.prefix(inputs)
        return (None if prefix is None else self.suffix(prefix)), prefix

    def prefix(self, inputs: Tensor) -> tuple[Any, ...] | None:
        """Run the first part, unless what it was taken from has a hook or other attributes now: it would skip them."""
        if not self.is_as_traced():
            return None
        folds = self.folds()
        return (*self._halves(folds)[0](inputs), folds)

    def is_as_traced(self) -> bool:
        """Whether what was taken apart has no hook and the attributes that it had."""
        return self.trace.holds()

    def folds(self) -> bool:
        """Whether the lighter parts run, as the network is now."""
        return self.lighter is not None and self.light is not None and self.lighter.weights_hold()

    def runs_lighter(self) -> bool:
        """Whether it is cut as it was, and the lighter parts run."""
        return self.is_as_traced() and self.folds()

    def after(self, *values: Any) -> Any:
        """Run the second part."""
        *crossing, folds = values
        return self._halves(folds)[1](*crossing)

    def later(self) -> Iterable[nn.Module]:
        """Return the layers of the second part."""
        return self.halves[1].modules()

    def _halves(self, folds: bool) -> Halves:
        return self.light if folds and self.light is not None else self.halves


def traced_before_dropout(trace: Trace, inputs: Tensor) -> Traced:
    """Find the first dropout of a traced network; any error of its own code, or LookupError."""
    cut = _first_dropout(trace.graph, inputs)
    first, *halves = _split(trace.graph, list(trace.graph.graph.nodes).index(cut))
    return Traced(first, trace, cut.name, (halves[0], halves[1]), stacks=True)


def with_folded(replay: Traced, folded: Folded) -> Traced:
    """Return the same cut, which runs the parts of a folded network; LookupError where it is no cut of that."""
    names = [node.name for node in folded.graph.graph.nodes]
    if replay.dropout not in names:
        raise LookupError(f"the folded network has no {replay.dropout}")
    first, *light = _split(folded.graph, names.index(replay.dropout))
    if first != replay.first:
        raise LookupError("other values cross the cut of the folded network")
    return replace(replay, lighter=folded, light=(light[0], light[1]))


def _first_dropout(graph: fx.GraphModule, inputs: Tensor) -> fx.Node:
    interpreter = fx.Interpreter(graph, garbage_collect_values=False)
    interpreter.args_iter = iter((inputs,))
    with SharedMasks(len(inputs)) as masks:
        node: fx.Node
        for node in graph.graph.nodes:
            interpreter.env[node] = interpreter.run_node(node)
            if masks.calls:
                return node
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
