"""Cut a network before its first dropout, so that T sub-networks cost one prefix and T suffixes.

Exact: the nodes of the traced graph run in their own order; only those before the cut run once instead of T times, and
every value that crosses the cut (skip connections too) is kept. Several sub-networks run as
one larger batch, each on its own copy with its own masks, where that gives the same numbers but for rounding. What
can't be traced is cut in another way, see `uncertainty.classifiers.resume`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from uncertainty.classifiers.dropout import Masks, SharedMasks, is_dropout

# Floats that cross the cut in one go: beyond that, larger batches no longer pay, and memory grows.
_AT_ONCE = 1 << 21
_PLAIN = (bool, int, float, str)
_OWN = (Tensor, nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant
_SAME = {None: 1e-4, "bf16": 3e-2, "fp16": 4e-3}  # of the largest logit: what rounding may do


class AstrayError(Exception):
    """A pass took another path than the one that can be replayed: it must be run in full."""


@dataclass(frozen=True, eq=False)
class Replay(ABC):
    """A network that is cut before its first dropout.

    `first` says which of the values that cross the cut is read by the first dropout and by nothing else, None: none;
    `per_image` which of them have rows of images; `stacks` whether several sub-networks may run as one batch; `share`
    which part of the multiplications comes after the cut.
    """

    first: int | None
    per_image: tuple[bool, ...] = field(default=(), kw_only=True)
    stacks: bool = field(default=False, kw_only=True)
    share: float = field(default=1.0, kw_only=True)

    @abstractmethod
    def begin(self, inputs: Tensor) -> tuple[Any, tuple[Any, ...] | None]:
        """Run the network; return its answer and the values that cross the cut.

        The values are None where it can't be cut as it is now, and the answer may then be None too.
        """

    @abstractmethod
    def prefix(self, inputs: Tensor) -> tuple[Any, ...] | None:
        """Return the values that cross the cut alone."""

    @abstractmethod
    def after(self, *values: Any) -> Any:
        """Run from the first dropout to the output; AstrayError where another path is taken."""

    @abstractmethod
    def later(self) -> Iterable[nn.Module]:
        """Return the parts that a sub-network runs."""

    def leaves_nothing(self) -> bool:
        """Whether no module keeps what only stands for a value, once it was run."""
        return True

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
        if not self.stacks or any(map(hooked, self.later())):
            return 1
        floats: int = sum(v.numel() for v, rows in zip(prefix, self.per_image, strict=True) if rows)
        return max(1, _AT_ONCE // max(floats, 1))


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
        if any(map(hooked, self.parts)) or self.traced != _attributes(self.parts):
            return None
        values: tuple[Any, ...] = self.halves[0](inputs)
        return values

    def after(self, *values: Any) -> Any:
        """Run the second part."""
        return self.halves[1](*values)

    def later(self) -> Iterable[nn.Module]:
        """Return the layers of the second part."""
        return self.halves[1].modules()


def cut_before_dropout(module: nn.Module, inputs: Tensor, autocast: str | None = None) -> Replay | None:
    """Trace `module` (in eval mode) and find its first dropout; None where that can't be, or gives another answer.

    The caller then runs T full passes, which is as exact.
    """
    from uncertainty.classifiers.resume import resumed_after_dropout

    found = _cut(_trace, module, inputs, autocast)
    return _cut(resumed_after_dropout, module, inputs, autocast) if found is None else found


def _cut(
    way: Callable[[nn.Module, Tensor], Replay], module: nn.Module, inputs: Tensor, autocast: str | None
) -> Replay | None:
    try:
        replay = way(module, inputs.clone())
        prefix = _crossing(replay, inputs.clone())
        if not _agree(replay, prefix, module, inputs):
            return None
        replay = replace(replay, per_image=_rows_of_images(prefix, _crossing(replay, inputs[:-1].clone())))
        stacks = replay.stacks and _stacks(replay, prefix, len(inputs), _SAME[autocast])
        return replace(replay, stacks=stacks, share=_share_after(replay, prefix, module, inputs))
    except Exception:  # the user's code runs with stand-ins for tensors: anything may be raised
        return None


def _trace(module: nn.Module, inputs: Tensor) -> Replay:
    if any(map(hooked, parts := _taken_apart(module))):
        raise LookupError("a hook would be skipped")
    graph = fx.symbolic_trace(module)
    first, *halves = _split(graph, _first_dropout(graph, inputs))
    return Traced(first, parts, _attributes(parts), (halves[0], halves[1]), stacks=True)


def _taken_apart(module: nn.Module) -> tuple[nn.Module, ...]:
    tracer = fx.Tracer()
    return tuple(m for name, m in module.named_modules() if not name or not tracer.is_leaf_module(m, name))


def hooked(part: nn.Module) -> bool:
    """Whether a hook of the user's runs with this part."""
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


def _agree(replay: Replay, prefix: tuple[Any, ...], module: nn.Module, inputs: Tensor) -> bool:
    for pass_index in (None, 0, 1):
        with SharedMasks(len(inputs), 0, pass_index):
            answer = replay.suffix(prefix)
        clean = replay.leaves_nothing()
        with SharedMasks(len(inputs), 0, pass_index):
            expected = module(inputs.clone())
        if not (clean and torch.equal(answer, expected)):
            return False
    return True


def _crossing(replay: Replay, inputs: Tensor) -> tuple[Any, ...]:
    prefix = replay.prefix(inputs)
    if prefix is None:
        raise AstrayError
    return prefix


def _rows_of_images(many: tuple[Any, ...], fewer: tuple[Any, ...]) -> tuple[bool, ...]:
    """Which of the values that cross the cut grow with the number of images."""
    pairs = zip(many, fewer, strict=True)
    return tuple(isinstance(a, Tensor) and a.dim() > 0 and len(a) != len(b) for a, b in pairs)


def _stacks(replay: Replay, prefix: tuple[Any, ...], images: int, same: float) -> bool:
    """Whether two sub-networks as one batch answer as one after the other; any failure says no."""
    run = range(2)
    try:
        found = replay._stacked(prefix, images, run, 0, Masks(0))
        expected = torch.cat([replay._stacked(prefix, images, run[k : k + 1], 0, Masks(0)) for k in run])
    except Exception:  # the user's code, on more rows than it may expect: anything may be raised
        return False
    return found.shape == expected.shape and bool((found - expected).abs().max() <= same * expected.abs().max())


def _share_after(replay: Replay, prefix: tuple[Any, ...], module: nn.Module, inputs: Tensor) -> float:
    """Return which share of the multiplications comes after the first dropout; 0 where there are none to count."""
    with _Multiplications() as after:
        replay.suffix(prefix)
    with _Multiplications() as whole:
        module(inputs.clone())
    share: float = after.count / max(whole.count, 1)
    return share


class _Multiplications(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts as torch's FlopCounterMode does, which is no use here: it hooks into the modules that it watches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from torch.utils.flop_counter import flop_registry

        result = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.count += int(count(*args, **(kwargs or {}), out_val=result))
        return result
