"""Multinomial logistic regression on a frozen embedding, from a strong to a weak ridge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Single = NDArray[np.float32]

RIDGES = (1e-3, 1e-4, 1e-5)
"""Half the ridge is this times ‖W‖², in units of the mean log loss; each probe starts where the one before it ended."""
_STEPS = 60


def probes(embedding: Array, labels: NDArray[np.int64], classes: int) -> tuple[Array, Array]:
    """Return weights (3, c, e) and intercepts (3, c) of softmax(W x + b), one for each of `RIDGES`.

    `embedding` (m, e) is standardised and divided by √e for the fit; the weights are for the embedding as it is.
    `labels` (m,) lie in 0 … c - 1. Few steps in float32: a probe that is stopped early is none the worse.

    >>> weights, intercepts = probes(np.array([[-1.0], [1.0]]), np.array([0, 1]), 2)
    >>> (weights.shape, intercepts.shape, bool(weights[2, 1, 0] > weights[0, 1, 0] > 0))
    ((3, 2, 1), (3, 2), True)
    """
    mean = embedding.mean(axis=0)
    scale = (embedding.std(axis=0) + 1e-6) * np.sqrt(embedding.shape[1])
    x = ((embedding - mean) / scale).astype(np.float32)
    found, start = [], np.zeros(classes * (x.shape[1] + 1))
    for ridge in RIDGES:
        start = _fitted(x, labels, classes, ridge, start)
        found.append(start.reshape(classes, -1))
    every = np.stack(found)
    weights = every[:, :, :-1] / scale
    return weights, every[:, :, -1] - weights @ mean


def _fitted(x: Single, labels: NDArray[np.int64], classes: int, ridge: float, start: Array) -> Array:
    from scipy.optimize import minimize

    n, d = x.shape
    rows = np.arange(n)

    def loss(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(classes, d + 1)
        weights = parameters[:, :-1]
        z = x @ weights.T.astype(np.float32) + parameters[:, -1].astype(np.float32)
        z -= z.max(axis=1, keepdims=True)
        own = z[rows, labels]
        np.exp(z, out=z)
        total = z.sum(axis=1, keepdims=True)
        value = (np.log(total[:, 0]) - own).mean(dtype=np.float64) + ridge / 2 * (weights**2).sum()
        z /= total
        z[rows, labels] -= 1
        slope = np.column_stack([z.T @ x, z.sum(axis=0)]).astype(np.float64) / n
        slope[:, :-1] += ridge * weights
        return float(value), slope.ravel()

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x)
