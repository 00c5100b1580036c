"""A network as a graph of its calls, and what that takes for granted: the modules it takes apart, as they were then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.replay import hooked

_PLAIN = (bool, int, float, str)
_OWN = (nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant
_TENSORS = ("_parameters", "_buffers", "_modules")  # a graph reads them by name, so what is in them may change
_ELSEWHERE = vars(nn.Module()).keys() - {"training", *_TENSORS}  # hooks, which are looked at by themselves
_DEEPEST = 4  # lists in lists that are looked into


class _Tracer(fx.Tracer):
    """Buffers are part of the graph, as parameters are: what is computed of them is computed anew in each pass."""

    proxy_buffer_attributes = True


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a module in eval mode; `parts` are the modules that became nodes, `attributes` theirs then."""

    graph: fx.GraphModule
    parts: tuple[nn.Module, ...]
    attributes: tuple[Any, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Trace:
        """Trace a module; LookupError where a hook would be skipped, and any error of its own code."""
        if any(map(hooked, parts := _taken_apart(module))):
            raise LookupError("a hook would be skipped")
        tracer = _Tracer()
        graph = tracer.trace(module)
        return cls(fx.GraphModule(tracer.root, graph, type(module).__name__), parts, attributes(parts))

    def holds(self) -> bool:
        """Whether what was taken apart has no hook and the attributes that it had."""
        return not any(map(hooked, self.parts)) and self.attributes == attributes(self.parts)


def _taken_apart(module: nn.Module) -> tuple[nn.Module, ...]:
    tracer = fx.Tracer()
    return tuple(m for name, m in module.named_modules() if not name or not tracer.is_leaf_module(m, name))


def attributes(parts: tuple[nn.Module, ...]) -> tuple[Any, ...]:
    """What of each part a trace took for granted: its class, plain values as they are, everything else by identity.

    Of lists, dictionaries and objects of settings that a part holds, what lies in them too.
    """
    return tuple((type(part), *_values(part)) for part in parts)


def _values(part: nn.Module) -> Iterator[Any]:
    for name, value in vars(part).items():
        if type(value) in _PLAIN:
            yield name, value
        elif name in _TENSORS:
            yield name, tuple((key, id(item)) for key, item in value.items())
        elif name not in _ELSEWHERE:
            yield name, _value(value, _DEEPEST)


def _value(value: Any, deep: int) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Tensor):
        return id(value), written(value)
    if type(value) in (list, tuple) and deep:
        return tuple(_value(item, deep - 1) for item in value)
    held = value if type(value) is dict else None if isinstance(value, _OWN) else getattr(value, "__dict__", None)
    if type(held) is not dict or not deep:
        return id(value)
    return id(value), tuple((name, _value(item, deep - 1)) for name, item in held.items())


def written(tensor: Tensor) -> tuple[int, int]:
    """Return what changes when torch writes to a tensor, or its memory is another one."""
    return tensor._version, tensor.data_ptr()
