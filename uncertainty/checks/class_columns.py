"""The columns of a table that each class has one of, and the list in their place where classes are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WIDE_CLASSES = 200
"""Up to this many classes each probability has a column `prob_<class>`; beyond it they are one list column, `probs`."""
PROBABILITY, PROBABILITIES = "prob_", "probs"
DECISION, DECISIONS = "p_wrong_", "p_wrongs"
"""Prefix of the probability that the decision on a class is wrong, of several labels; beyond WIDE_CLASSES a list."""


def wide_names(classes: Sequence[str], prefix: str = PROBABILITY) -> list[str]:
    """Return the names of the columns of up to WIDE_CLASSES classes; none beyond it.

    >>> wide_names(["cat", "dog"])
    ['prob_cat', 'prob_dog']
    """
    return [f"{prefix}{name}" for name in classes] if len(classes) <= WIDE_CLASSES else []


def probability_columns(classes: Sequence[str], probs: Any) -> dict[str, Any]:
    """Return the probability columns of a table: (n, c) to one array a class, or to one list column."""
    if len(classes) > WIDE_CLASSES:
        return {PROBABILITIES: probs.tolist()}
    return {name: probs[:, k] for k, name in enumerate(wide_names(classes))}


def decision_columns(classes: Sequence[str], p_wrong: Any) -> dict[str, Any]:
    """Return the columns of p_wrong (n, c) of single decisions: one array a class, or one list column."""
    if len(classes) > WIDE_CLASSES:
        return {DECISIONS: p_wrong.tolist()}
    return {name: p_wrong[:, k] for k, name in enumerate(wide_names(classes, DECISION))}
