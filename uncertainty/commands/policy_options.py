"""The options with which fit, screen and policy ask one question of the flags, and the policy they amount to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from uncertainty.commands.added_options import with_options
from uncertainty.defaults import BUDGET, CONFIDENCE
from uncertainty.verbs.ranges import limits


class Certify(StrEnum):
    """How a promise is certified."""

    FIXED_SEQUENCE = "fixed-sequence"
    SGR = "sgr"


def _number(name: str, text: str) -> tuple[Any, None]:
    return Annotated[float | None, typer.Option(**limits(name), help=text, show_default=False)], None


def _options() -> dict[str, tuple[Any, Any]]:
    """Type and default of each option, by its name in `Policy.of`."""
    sure = f"Of a promise, over the draw of calibration; default {CONFIDENCE}. 0: read off the curve, no promise."
    decision = "Of several labels, flag single decisions and not images; with --per-class a threshold for each label."
    each = "A threshold for each predicted class; classes with few images share one."
    return {
        "budget": _number(
            "budget", f"Flag at most this share of images like calibration. The default policy, {BUDGET}."
        ),
        "min_recall": _number("min_recall", "Promise: at least this share of the errors is flagged."),
        "max_error": _number("max_error", "Promise: at most this share of what is not flagged is wrong."),
        "min_precision": _number("min_precision", "Promise: at least this share of what is flagged is wrong."),
        "confidence": _number("confidence", sure),
        "cost_miss": _number("cost_miss", "Of an error that is not flagged; with --cost-review: the cheapest flags."),
        "cost_review": _number("cost_review", "Of an image that is flagged."),
        "threshold": _number("threshold", "Flag from this p_wrong on."),
        "per_class": (Annotated[bool, typer.Option("--per-class", help=each)], False),
        "per_decision": (Annotated[bool, typer.Option("--per-decision", help=decision)], False),
        "method": (Annotated[Certify, typer.Option(help="How promises are certified.")], Certify.FIXED_SEQUENCE),
    }


def _policy(asked: dict[str, Any]) -> Any:
    from uncertainty.decisions.policies import Policy

    named = {name: value for name, value in asked.items() if value is not None and value is not False}
    return Policy.of(**named) if named.keys() - {"method"} else None


with_policy_options = with_options("policy", _options(), _policy)
"""Gives a command the options of a policy; it gets them as `policy`, None where nothing was asked."""
