"""Cut a network before its first dropout, so that T sub-networks cost one prefix and T suffixes.

Exact: the nodes of the traced graph run in their own order; only those before the cut run once instead of T times, and
every value that crosses the cut (skip connections too) is kept. Several sub-networks run as
one larger batch, each on its own copy with its own masks, where that gives the same numbers but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, fx, nn

from uncertainty.classifiers.dropout import Masks, SharedMasks, is_dropout

# Floats that cross the cut in one go: beyond that, larger batches no longer pay, and memory grows.
_AT_ONCE = 1 << 21
_PLAIN = (bool, int, float, str)
_OWN = (Tensor, nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant
_SAME = {None: 1e-4, "bf16": 3e-2, "fp16": 4e-3}  # of the largest logit: what rounding may do


@dataclass(frozen=True, eq=False)
class Replay:
    """A traced network in two parts, which share the modules and weights of the original.

    `stacks` says whether several sub-networks may run as one batch; `per_image` which of the values that cross the cut
    have rows of images; `first` which of these is read by the first dropout and by nothing else, None: none. `parts`
    are the modules that tracing took apart, `traced` their attributes then.
    """

    before: fx.GraphModule
    after: fx.GraphModule
    first: int | None
    per_image: tuple[bool, ...] = ()
    stacks: bool = False
    parts: tuple[nn.Module, ...] = ()
    traced: tuple[Any, ...] = ()

    def is_as_traced(self) -> bool:
        """Whether the parts that were taken apart are as they were: other attributes or a hook would be skipped."""
        return not any(map(_hooked, self.parts)) and self.traced == _attributes(self.parts)

    def prefix(self, inputs: Tensor) -> tuple[Any, ...]:
        """Run everything before the first dropout; return the values that the rest still needs."""
        values: tuple[Any, ...] = self.before(inputs)
        return values

    def suffix(self, prefix: tuple[Any, ...]) -> Any:
        """Run from the first dropout to the output, leaving `prefix` as it is."""
        # Copies, since what follows may work in place.
        return self.after(*(value.clone() if isinstance(value, Tensor) else value for value in prefix))

    def samples(self, prefix: tuple[Any, ...], batch: int, passes: int, seed: int, masks: Masks) -> Tensor:
        """Run so many sub-networks on a batch: logits (batch, passes, c)."""
        together = self._together(prefix)
        runs = [range(start, min(start + together, passes)) for start in range(0, passes, together)]
        parts = [self._stacked(prefix, batch, run, seed, masks) for run in runs]
        return torch.cat([part.reshape(-1, batch, part.shape[-1]) for part in parts]).transpose(0, 1)

    def _stacked(self, prefix: tuple[Any, ...], batch: int, run: range, seed: int, masks: Masks) -> Tensor:
        if len(run) == 1:
            with SharedMasks(batch, seed, run, masks=masks):
                alone: Tensor = self.suffix(prefix)
            return alone
        copies = [self._copied(k, value, len(run)) for k, value in enumerate(prefix)]
        with SharedMasks(batch, seed, run, masks=masks, copies=None if self.first is None else 1):
            answer: Tensor = self.after(*copies)
        return answer

    def _copied(self, k: int, value: Any, copies: int) -> Any:
        if not isinstance(value, Tensor) or k == self.first:
            return value
        return value.repeat(copies, *[1] * (value.dim() - 1)) if self.per_image[k] else value.clone()

    def _together(self, prefix: tuple[Any, ...]) -> int:
        # A hook would see the rows of several sub-networks as one batch.
        if not self.stacks or any(map(_hooked, self.after.modules())):
            return 1
        floats: int = sum(v.numel() for v, rows in zip(prefix, self.per_image, strict=True) if rows)
        return max(1, _AT_ONCE // max(floats, 1))


def cut_before_dropout(module: nn.Module, inputs: Tensor, autocast: str | None = None) -> Replay | None:
    """Trace `module` (in eval mode) and find its first dropout; None where it can't be traced or gives another answer.

    A network whose path depends on its input can't be traced; the caller then runs T full passes, which is as exact.
    """
    try:
        if any(map(_hooked, parts := _taken_apart(module))):
            return None
        graph = fx.symbolic_trace(module)
        replay = _split(graph, _first_dropout(graph, inputs))
        if not _agree(replay, module, inputs):
            return None
        replay = replace(replay, per_image=_rows_of_images(replay, inputs), parts=parts)
        replay = replace(replay, traced=_attributes(parts))
    except Exception:  # tracing runs the user's code with stand-ins for tensors: anything may be raised
        return None
    return replace(replay, stacks=_stacks(replay, inputs, _SAME[autocast]))


def _taken_apart(module: nn.Module) -> tuple[nn.Module, ...]:
    tracer = fx.Tracer()
    return tuple(m for name, m in module.named_modules() if not name or not tracer.is_leaf_module(m, name))


def _hooked(part: nn.Module) -> bool:
    return bool(part._forward_hooks or part._forward_pre_hooks)


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
    alone = [k for k, node in enumerate(crossing) if later & node.users.keys() == {nodes[cut]}]
    first = alone[0] if alone and crossing[alone[0]] in nodes[cut].args[:1] and is_dropout(graph, nodes[cut]) else None
    return Replay(fx.GraphModule(graph, before), fx.GraphModule(graph, after), first)


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


def _rows_of_images(replay: Replay, inputs: Tensor) -> tuple[bool, ...]:
    """Which of the values that cross the cut grow with the number of images."""
    many, fewer = replay.prefix(inputs), replay.prefix(inputs[:-1])
    pairs = zip(many, fewer, strict=True)
    return tuple(isinstance(a, Tensor) and a.dim() > 0 and len(a) != len(b) for a, b in pairs)


def _stacks(replay: Replay, inputs: Tensor, same: float) -> bool:
    """Whether two sub-networks as one batch answer as one after the other; any failure says no."""
    prefix, run = replay.prefix(inputs), range(2)
    try:
        found = replay._stacked(prefix, len(inputs), run, 0, Masks(0))
        expected = torch.cat([replay._stacked(prefix, len(inputs), run[k : k + 1], 0, Masks(0)) for k in run])
    except Exception:  # the user's code, on more rows than it may expect: anything may be raised
        return False
    return found.shape == expected.shape and bool((found - expected).abs().max() <= same * expected.abs().max())
