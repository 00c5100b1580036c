"""What an object says of itself: one line in a terminal, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

LONGEST_LINE = 200
_LONGEST_VALUE = 60


class Brief:
    """Gives a class its `repr` and its table; what they say are its fields, or what `_facts` returns."""

    __slots__ = ()

    def _facts(self) -> Mapping[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    def __repr__(self) -> str:
        text = ", ".join(f"{name}={shortened(value)}" for name, value in self._facts().items())
        line = f"{type(self).__name__}({text})"
        return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 2]}…)"

    def _repr_html_(self) -> str:
        rows = ((name.replace("_", " "), shortened(value, quoted=False)) for name, value in self._facts().items())
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
        return f"<table><caption>{escape(type(self).__name__)}</caption><tbody>{cells}</tbody></table>"


def shortened(value: Any, *, quoted: bool = True) -> str:
    """Return a value in one short line: numbers with four digits, of what is long its length alone.

    >>> shortened(0.123456), shortened(["a"] * 300), shortened("a\\nb", quoted=False)
    ('0.1235', '<300 in list>', 'a b')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        text = " ".join(value.split())
        text = text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
        return repr(text) if quoted else text
    if value is None or isinstance(value, bool | int):
        return str(value)
    if isinstance(value, Brief) or not hasattr(value, "__len__"):
        return f"<{type(value).__name__}>"
    return f"<{len(value)} in {type(value).__name__}>"
