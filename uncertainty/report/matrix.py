"""The confusion matrix of the page: all classes where they are few, else those with most errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

MOST_CLASSES = 24
MOST_PAIRS = 12


def confusion(truth: Sequence[int], predicted: Sequence[int], flagged: Sequence[bool]) -> dict[str, Any]:
    """Count (true, predicted) pairs of class numbers: `cells` as [true, predicted, all, unflagged], zeros left out.

    `shown` are the class numbers with a row and column: all that occur, or the 24 with most errors. `hidden_errors`
    counts the errors that are then not to be seen; `pairs` are the most frequent confusions of all.

    >>> matrix = confusion([0, 0, 1], [0, 1, 1], [False, True, False])
    >>> matrix["cells"], matrix["pairs"], matrix["shown"], matrix["hidden_errors"]
    ([[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], [[0, 1, 1, 0]], [0, 1], 0)
    """
    pairs = list(zip(truth, predicted, strict=True))
    everything = Counter(pairs)
    kept = Counter(pair for pair, flag in zip(pairs, flagged, strict=True) if not flag)
    shown = _shown(everything)
    cells = [[*pair, count, kept[pair]] for pair, count in sorted(everything.items())]
    errors = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: -cell[2])
    inside = set(shown)
    return {
        "shown": shown,
        "classes": len({c for pair in everything for c in pair}),
        "cells": [cell for cell in cells if cell[0] in inside and cell[1] in inside],
        "pairs": errors[:MOST_PAIRS],
        "hidden_errors": sum(cell[2] for cell in errors if not (cell[0] in inside and cell[1] in inside)),
    }


def _shown(counts: Counter[tuple[int, int]]) -> list[int]:
    present = sorted({c for pair in counts for c in pair})
    if len(present) <= MOST_CLASSES:
        return present
    errors: Counter[int] = Counter()
    for (true, predicted), count in counts.items():
        if true != predicted:
            errors[true] += count
            errors[predicted] += count
    return sorted(sorted(present, key=lambda c: (-errors[c], c))[:MOST_CLASSES])
