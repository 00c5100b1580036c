"""Cells of CSV files: read back as they were, and nothing in them that a spreadsheet would run."""

from __future__ import annotations

import struct
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_FLOAT32 = struct.Struct("f")


def cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe; lists are joined by semicolons.

    >>> cell("=1+1"), cell(["dark", "blurry"]), cell(True), cell(-0.5)
    ("'=1+1", 'dark;blurry', 'true', -0.5)
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        value = ";".join(str(cell(v)) if isinstance(v, float) else v for v in value)
    if isinstance(value, float):
        return _shortest(value)
    return f"'{value}" if isinstance(value, str) and looks_like_formula(value) else value


def looks_like_formula(text: str) -> bool:
    """Also behind apostrophes, so that taking one away gives back every text as it was."""
    return text.lstrip("'\ufeff").startswith(_FORMULA_STARTS)


def _shortest(value: float) -> float:
    """The number of fewest digits that is the same float32.

    >>> _shortest(0.10000000149011612), _shortest(0.12345679104328156)
    (0.1, 0.12345679)
    """
    same = _FLOAT32.pack(value)
    shorter = (float(f"{value:.{digits}g}") for digits in (7, 8))
    return next((number for number in shorter if _FLOAT32.pack(number) == same), float(f"{value:.9g}"))
