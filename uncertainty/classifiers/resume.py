"""Cut a network that can't be traced: run its Python code again, and give back what was computed before its dropout.

All that a forward pass computes are calls of torch's functions. What those before the first dropout gave is kept of one
pass, and handed out in their order when the code runs again, so that the path of the data is followed and hooks, loops
and settings are as they were; only what follows is computed. Where a call is another one than at the probe, or reads
what was not kept, the pass has gone astray and is run in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from uncertainty.classifiers.dropout import SharedMasks, drops_units, is_dropout_call
from uncertainty.classifiers.replay import AstrayError, Replay, hooked

# A path that depends on values must be taken for each sub-network by itself.
_VALUES = frozenset("__bool__ __int__ __float__ __index__ __iter__ item tolist numpy __array__ equal allclose".split())
_INPUT = (-1, 0)

Place = tuple[int, int]
"""Which call before the first dropout gave a tensor, and which of its tensors it is; _INPUT is the network's input."""


class _Gone(Tensor):
    """Stands for a tensor that nothing after the first dropout reads."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


@dataclass(frozen=True)
class _Kept:
    """Stands for the tensor that crosses the cut in this position."""

    slot: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What is called before the first dropout, and which of the tensors that this gives are read after it."""

    functions: tuple[Any, ...]
    slots: Mapping[Place, int]


@dataclass(frozen=True, eq=False)
class Resume(Replay):
    """A network that goes on after its first dropout; what crosses the cut are tensors, and last what calls gave."""

    module: nn.Module
    plan: Plan

    def begin(self, inputs: Tensor) -> tuple[Any, tuple[Any, ...] | None]:
        """Run the network; return its answer and what crosses the cut, None where it took another path."""
        with _Recorder(self.plan, inputs) as recorder:
            answer = self.module(inputs)
        return answer, recorder.crossing()

    def prefix(self, inputs: Tensor) -> tuple[Any, ...] | None:
        """Return what crosses the cut."""
        return self.begin(inputs)[1]

    def is_as_traced(self) -> bool:
        """Whether there is no hook."""
        return not any(map(hooked, self.module.modules()))

    def leaves_nothing(self) -> bool:
        """Whether no module keeps a stand-in as an attribute; the caller's next pass puts a tensor in its place."""
        kept = [value for part in self.module.modules() for value in vars(part).values()]
        return not any(type(tensor) is _Gone for tensor in _tensors(kept))

    def later(self) -> Iterable[nn.Module]:
        """Return all layers: their Python code is run."""
        return self.module.modules()

    def after(self, *values: Any) -> Any:
        """Run from the first dropout to the output; no hook of the user's may see what stands for a tensor."""
        if not self.is_as_traced():
            raise AstrayError
        *given, calls = values
        resumed = _Resumed(self.plan.functions, [_filled(result, given) for result in calls[1:]])
        try:
            with resumed:
                answer = self.module(_filled(calls[0], given))
        except Exception:
            if resumed.astray:
                raise AstrayError from None
            raise
        if resumed.astray or type(answer) is _Gone:
            raise AstrayError
        return answer


def resumed_after_dropout(module: nn.Module, inputs: Tensor) -> Resume:
    """Find what is called before the first dropout, and what is read of it later; LookupError where that can't be."""
    # With a mask, since dropout as the identity may hand its input on.
    with SharedMasks(len(inputs), pass_index=0), _Watcher(inputs) as watcher:
        answer = module(inputs)
    if watcher.cut is None:
        raise LookupError("no dropout call in the network")
    watcher.read([answer])
    slots = watcher.slots()
    plan = Plan(tuple(watcher.functions), slots)
    return Resume(watcher.first(slots), module, plan, stacks=not watcher.looks)


class _Watcher(TorchFunctionMode):
    """Notes each call before the first dropout, and what the later ones read."""

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.functions: list[Any] = []
        self.held: list[Any] = []  # alive, so that no other tensor gets their identity
        self.places: dict[int, list[Place]] = {id(inputs): [_INPUT]}
        self.reads: Counter[int] = Counter()
        self.cut: int | None = None
        self.dropped: int | None = None
        self.looks = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.cut is None and drops_units(func, args, kwargs):
            self.cut = len(self.functions)
            self.dropped = id(args[0]) if args and is_dropout_call(func) else None
        if self.cut is not None:
            self.read((args, kwargs))
            self.looks |= getattr(func, "__name__", "") in _VALUES
            return func(*args, **kwargs)
        result, again = _to_keep(func(*args, **kwargs))
        for k, tensor in enumerate(_tensors(result)):
            self.places.setdefault(id(tensor), []).append((len(self.functions), k))
        self.functions.append(func)
        self.held.append(result)
        return again(result)

    def read(self, values: Any) -> None:
        for tensor in {id(t): t for t in _tensors(values)}:
            if tensor in self.places:
                self.reads[tensor] += 1

    def slots(self) -> dict[Place, int]:
        return {place: k for k, tensor in enumerate(self.reads) for place in self.places[tensor]}

    def first(self, slots: dict[Place, int]) -> int | None:
        """Return which slot is read by the first dropout and by nothing else."""
        if self.dropped is None or self.reads[self.dropped] != 1:
            return None
        return slots[self.places[self.dropped][0]]


class _Recorder(TorchFunctionMode):
    """Keeps of each call before the first dropout what is read later."""

    def __init__(self, plan: Plan, inputs: Tensor) -> None:
        super().__init__()
        self.plan, self.values = plan, dict[int, Tensor]()
        self.calls: list[Any] = []
        self.cut = self.astray = False
        self._keep(-1, inputs)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.cut or self.astray:
            return func(*args, **kwargs)
        if drops_units(func, args, kwargs):
            self.cut = True
            # As they are now, since what follows may work in place.
            self.values = {slot: value.clone() for slot, value in self.values.items()}
            return func(*args, **kwargs)
        (result, again), k = _to_keep(func(*args, **kwargs)), len(self.calls) - 1
        if k >= len(self.plan.functions) or self.plan.functions[k] != func:
            self.astray = True
        else:
            self._keep(k, result)
        return again(result)

    def _keep(self, k: int, result: Any) -> None:
        if isinstance(result, Tensor):
            self.calls.append(self._stand_in(k, 0, result))
        elif tensors := _tensors(result):
            kept = iter([self._stand_in(k, j, tensor) for j, tensor in enumerate(tensors)])
            self.calls.append(tree_map(lambda leaf: next(kept) if isinstance(leaf, Tensor) else leaf, result))
        else:
            self.calls.append(result)

    def _stand_in(self, k: int, j: int, tensor: Tensor) -> Any:
        if (slot := self.plan.slots.get((k, j))) is None:
            return torch.empty(0).as_subclass(_Gone)
        self.astray |= self.values.setdefault(slot, tensor) is not tensor
        return _Kept(slot)

    def crossing(self) -> tuple[Any, ...] | None:
        if self.astray or not self.cut or len(self.calls) - 1 != len(self.plan.functions):
            return None
        return (*(self.values[slot] for slot in range(len(self.values))), self.calls)


class _Resumed(TorchFunctionMode):
    """Answers the calls before the first dropout with what they gave."""

    def __init__(self, functions: tuple[Any, ...], results: list[Any]) -> None:
        super().__init__()
        self.functions, self.results = functions, results
        self.calls, self.astray = 0, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.calls < len(self.results):
            self.astray |= self.functions[self.calls] != func
            self.calls += 1
            if not self.astray:
                result = self.results[self.calls - 1]
                return iter(result) if getattr(func, "__name__", "") == "__iter__" else result
        elif any(type(tensor) is _Gone for tensor in _tensors((args, kwargs))):
            self.astray = True
        if self.astray:
            raise RuntimeError("the pass has gone astray")
        return func(*args, **kwargs)


def _to_keep(result: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return a result that can be given more than once, and what makes of it what was given."""
    return (tuple(result), iter) if isinstance(result, Iterator) else (result, lambda same: same)


def _filled(result: Any, values: list[Tensor]) -> Any:
    if isinstance(result, _Kept):
        return values[result.slot]
    if isinstance(result, tuple | list | dict) and type(result) is not torch.Size:
        return tree_map(lambda leaf: values[leaf.slot] if isinstance(leaf, _Kept) else leaf, result)
    return result


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if not isinstance(values, tuple | list | dict) or type(values) is torch.Size:
        return []
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
