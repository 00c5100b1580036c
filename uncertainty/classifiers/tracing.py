"""A network as a graph of its calls, and what that takes for granted: the modules it takes apart, as they were then."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.replay import hooked

_PLAIN = (bool, int, float, str)
_OWN = (Tensor, nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant


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
        return cls(fx.symbolic_trace(module), parts, _attributes(parts))

    def holds(self) -> bool:
        """Whether what was taken apart has no hook and the attributes that it had."""
        return not any(map(hooked, self.parts)) and self.attributes == _attributes(self.parts)


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
