"""Sets of labels that are suggested in place of what the classifier says: how often one is right, and what was said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty import ModelOutputs
from uncertainty.combination.suggested_sets import turned


def suggestions(
    stream: ModelOutputs, p_wrong: NDArray[np.float32], probability: NDArray[np.float64]
) -> dict[str, float | None]:
    """Return how often a set is suggested, how often such a set is right, and how often it was said to be.

    p_wrong : (n, c) of decisions; probability : (n,) `suggested_probability`, NaN where nothing is suggested. Beside it
    how often the classifier itself is right on these images. None where there is no such image.

    Of two images one gets a suggestion, which turns the one answer that is wrong:

    >>> labels, logits = [[0, 1], [1, 0]], [[1.0, 2.0], [1.0, -1.0]]
    >>> seen = ModelOutputs(ids=["a", "b"], logits=logits, labels=labels, task="multilabel")
    >>> found = suggestions(seen, np.array([[0.8, 0.1], [0.2, 0.3]], dtype=np.float32), np.array([0.75, np.nan]))
    >>> [found[name] for name in ("suggested", "suggested right", "suggested said", "classifier right there")]
    [0.5, 1.0, 0.75, 0.0]

    """
    other = turned(p_wrong)
    told = other.any(axis=1)
    right = ~((stream.wrong_decisions != other) & stream.known).any(axis=1)
    each = {"suggested right": right, "suggested said": probability, "classifier right there": ~stream.wrong}
    means = {name: float(values[told].mean()) if told.any() else None for name, values in each.items()}
    return {"suggested": float(told.mean()), **means}
