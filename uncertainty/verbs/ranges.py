"""What the numbers of verbs may be: the same on the command line, which reads it here, and in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from uncertainty.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


class Range(NamedTuple):
    """The smallest and the largest value, both allowed; None: no end."""

    min: float
    max: float | None = None


RANGES = {
    "expect_damage": Range(0, 0.99),
    "expect_unknown": Range(0, 0.99),
    "certify_share": Range(0, 0.9),
    "passes": Range(0),
    "cascade_loss": Range(0),
    "seed": Range(0),
    "batch_size": Range(1),
    "workers": Range(1),
    "actors": Range(1),
    "gpus_per_actor": Range(0),
    "n": Range(1),
    "explore": Range(0, 1),
    "stop_below": Range(0, 1),
    "precision": Range(0.01, 1),
    "recall": Range(0.01, 1),
    "resamples": Range(1),
    "most": Range(1),
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
    return RANGES[name]._asdict()


def in_range(verb: Callable[P, R]) -> Callable[P, R]:
    """Have a verb refuse numbers that its command refuses: InputError, before anything is done."""
    signature = inspect.signature(verb)

    @wraps(verb)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        rest = next((name for name, p in signature.parameters.items() if p.kind is p.VAR_KEYWORD), "")
        for name, value in {**given, **given.get(rest, {})}.items():
            if name in RANGES and value is not None:
                _check(name, value)
        return verb(*args, **kwargs)

    return checked


def _check(name: str, value: Any) -> None:
    least, most = RANGES[name]
    try:
        inside = value >= least and (most is None or value <= most)
    except TypeError:
        inside = False
    if not inside:
        span = f"{least} or more" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} is {value!r}; it must be a number, {span}")
