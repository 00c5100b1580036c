"""Mathematics that several estimators share: float64, finite at any logit, without ties among sure rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import OutputsError
from uncertainty.outputs import ModelOutputs, Task

Array = NDArray[np.float64]


def gaps_to_best(logits: NDArray[Any]) -> Array:
    """Return (n, c - 1): the other logits minus the largest, all <= 0, the runner-up last.

    exp of a gap is the ratio p_j / p_best, and their sum s gives 1 - p_best = s / (1 + s) without cancellation.

    >>> gaps_to_best(np.array([[1.0, 4.0, 2.0]])).tolist()
    [[-3.0, -2.0]]
    """
    if logits.shape[1] < 2:
        raise OutputsError("a score that compares classes needs at least two; these logits have 1 class")
    z = np.partition(np.asarray(logits, dtype=np.float64), (-2, -1), axis=1)
    return z[:, :-1] - z[:, -1:]


def sigmoid(z: NDArray[Any]) -> Array:
    """Return 1 / (1 + exp(-z)), accurate for large negative z, where it is tiny.

    >>> sigmoid(np.array([0.0, -np.log(3.0)])).round(6).tolist()
    [0.5, 0.25]
    """
    e = np.exp(-np.abs(np.asarray(z, dtype=np.float64)))
    return np.asarray(np.where(z >= 0, 1.0, e) / (1 + e))


def decision_risks(outputs: ModelOutputs) -> Array:
    """Multilabel (n, c): the probability that each decision is wrong, p where 0 was predicted and 1 - p where 1 was.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[np.log(3.0), -np.log(3.0)]], task="multilabel")
    >>> decision_risks(outputs).round(6).tolist()
    [[0.25, 0.25]]
    """
    return sigmoid(np.where(outputs.predictions == 1, -outputs.logits, outputs.logits))


def entropies(probs: NDArray[Any], task: Task) -> Array:
    """Entropy in nats of (n, c) probabilities: of the row, or for a multilabel task the mean of its c binary entropies.

    >>> entropies(np.array([[0.5, 0.5], [1.0, 0.0]]), "multiclass").round(6).tolist()
    [0.693147, 0.0]
    """
    p = np.asarray(probs, dtype=np.float64).clip(0, 1)
    surprise = -p * np.log(np.where(p > 0, p, 1))
    if task == "multilabel":
        return np.asarray((surprise + _other_side(p)).mean(axis=1))
    return np.asarray(surprise.sum(axis=1))


def _other_side(p: Array) -> Array:
    return -(1 - p) * np.log1p(-np.where(p < 1, p, 0))
