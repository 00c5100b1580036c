"""A network as a graph of its calls, and what that takes for granted: the modules it takes apart, as they were then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from operator import is_
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.replay import hooked

_PLAIN = (bool, int, float, str)
_OWN = (Tensor, nn.Module, type, FunctionType, ModuleType)  # looked at by themselves, or as good as constant


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph of a module in eval mode; `parts` are the modules that became nodes, `attributes` theirs then.

    `objects` are the very objects that were there: while they still are, nothing need be compared by value.
    """

    graph: fx.GraphModule
    parts: tuple[nn.Module, ...]
    attributes: tuple[Any, ...]
    objects: _Objects

    @classmethod
    def of(cls, module: nn.Module) -> Trace:
        """Trace a module; LookupError where a hook would be skipped, and any error of its own code."""
        if any(map(hooked, parts := _taken_apart(module))):
            raise LookupError("a hook would be skipped")
        return cls(fx.symbolic_trace(module), parts, _attributes(parts), _Objects.of(parts))

    def holds(self) -> bool:
        """Whether what was taken apart has no hook and the attributes that it had."""
        if any(map(hooked, self.parts)):
            return False
        return self.objects.are_there() or self.attributes == _attributes(self.parts)


@dataclass(frozen=True, eq=False)
class _Objects:
    """All that `_attributes` looks at, as it lies in dictionaries and lists: a look at it takes a tenth of the time.

    `owners` are the parts and the objects of settings that they hold, `attributes` their dictionaries; `tables` these
    and the dictionaries that are held, `lists` the lists.
    """

    owners: tuple[Any, ...]
    attributes: tuple[dict[str, Any], ...]
    tables: tuple[dict[Any, Any], ...]
    lists: tuple[list[Any], ...]
    lengths: tuple[int, ...]
    keys: tuple[Any, ...]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, parts: tuple[nn.Module, ...]) -> _Objects:
        held = [value for part in parts for table in (vars(part), *_tables(part)) for value in table.values()]
        owners = (*parts, *(value for value in held if _has_settings(value)))
        attributes = tuple(owner.__dict__ for owner in owners)
        tables = (*attributes, *(value for value in held if type(value) is dict))
        lists = tuple(value for value in held if type(value) is list)
        found = cls(owners, attributes, tables, lists, (), (), ())
        return replace(found, lengths=found._lengths(), keys=tuple(found._keys()), values=tuple(found._values()))

    def are_there(self) -> bool:
        """Whether each is in its place."""
        return (
            all(map(is_, map(vars, self.owners), self.attributes))
            and self.lengths == self._lengths()
            and self.keys == tuple(self._keys())
            and all(map(is_, self._values(), self.values))
        )

    def _lengths(self) -> tuple[int, ...]:
        return tuple(map(len, (*self.tables, *self.lists)))

    def _keys(self) -> Iterator[Any]:
        return chain.from_iterable(self.tables)

    def _values(self) -> Iterator[Any]:
        return chain(chain.from_iterable(map(dict.values, self.tables)), chain.from_iterable(self.lists))


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
        for values in (vars(part), *_tables(part))
        for name, value in values.items()
    )


def _tables(part: nn.Module) -> tuple[dict[str, Any], ...]:
    return part._parameters, part._buffers, part._modules


def _has_settings(value: Any) -> bool:
    plain = type(value) in (*_PLAIN, list, tuple, dict) or isinstance(value, _OWN)
    return not plain and type(getattr(value, "__dict__", None)) is dict


def _value(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple):
        return tuple(item if type(item) in _PLAIN else id(item) for item in value)
    held = value if type(value) is dict else None if isinstance(value, _OWN) else getattr(value, "__dict__", None)
    if type(held) is not dict:
        return id(value)
    return id(value), tuple((name, item if type(item) in _PLAIN else id(item)) for name, item in held.items())
