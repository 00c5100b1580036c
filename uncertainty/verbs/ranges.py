"""What the numbers of verbs may be: the same on the command line, which reads it here, and in Python."""

from __future__ import annotations

import inspect
import math
import numbers
import operator
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from uncertainty.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


class Range(NamedTuple):
    """The smallest and the largest value, both allowed; None: no end. `whole`: it counts something."""

    min: float
    max: float | None = None
    whole: bool = False


RANGES = {
    "expect_damage": Range(0, 0.99),
    "expect_unknown": Range(0, 0.99),
    "certify_share": Range(0, 0.9),
    "passes": Range(0, whole=True),
    "cascade_loss": Range(0),
    "cascade_share": Range(0, 1),
    "seed": Range(0, whole=True),
    "batch_size": Range(1, whole=True),
    "workers": Range(1, whole=True),
    "actors": Range(1, whole=True),
    "gpus_per_actor": Range(0),
    "n": Range(1, whole=True),
    "explore": Range(0, 1),
    "second": Range(0, 1),
    "stop_below": Range(0, 1),
    "lease": Range(1),
    "settle": Range(0),
    "every": Range(0.01),
    "publish": Range(0),
    "precision": Range(0.01, 1),
    "recall": Range(0.01, 1),
    "resamples": Range(1, 100_000, whole=True),
    "most": Range(1, whole=True),
    "false_alarms": Range(0.002, 0.5),
    "budget": Range(0, 1),
    "min_recall": Range(0, 1),
    "max_error": Range(0, 1),
    "min_precision": Range(0, 1),
    "confidence": Range(0, 1),
    "cost_miss": Range(0),
    "cost_review": Range(0),
    "threshold": Range(0, 1),
}
"""By the name of the option, which means the same to every verb that has it."""


def limits(name: str) -> dict[str, Any]:
    """Return what an option of the command line is told of its range.

    >>> limits("false_alarms"), limits("seed")
    ({'min': 0.002, 'max': 0.5}, {'min': 0, 'max': None})
    """
    found = RANGES[name]
    return {"min": found.min, "max": found.max}


def in_range(verb: Callable[P, R]) -> Callable[P, R]:
    """Have a verb refuse numbers that its command refuses: InputError, before anything is done."""
    signature = inspect.signature(verb)

    @wraps(verb)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        rest = next((name for name, p in signature.parameters.items() if p.kind is p.VAR_KEYWORD), "")
        for asked in (given.arguments, given.arguments.get(rest, {})):
            asked |= {name: _checked(name, v) for name, v in asked.items() if name in RANGES and v is not None}
        return verb(*given.args, **given.kwargs)

    return checked


def _checked(name: str, value: Any) -> float:
    """Return a number as Python's own, whichever it was."""
    least, most, whole = RANGES[name]
    try:
        number = int(operator.index(value)) if whole else float(value)
        # Text and arrays of one value can be read as numbers, too; nobody means them.
        given: Any = value
        if isinstance(value, numbers.Number) and math.isfinite(number) and least <= number <= (most or number):
            return given if type(given) is int else number
    except (TypeError, ValueError, OverflowError):
        pass
    span = f"{least} or more" if most is None else f"from {least} to {most}"
    raise InputError(f"{name} is {value!r}; it must be a {'whole ' * whole}number, {span}")
