"""One logistic regression a label on a frozen embedding, from a strong to a weak ridge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._probes import RIDGES

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_STEPS = 60


def label_probes(embedding: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return weights (3, c, e) and intercepts (3, c) of the log-odds W x + b of each label, one for each of `RIDGES`.

    `embedding` (m, e) is standardised and divided by √e for the fit; the weights are for the embedding as it is.
    `labels` (m, c) are 1, 0 and -1, an answer that nobody knows and no label is fitted to. As in `probes`, few steps.

    >>> weights, intercepts = label_probes(np.array([[-1.0], [1.0]]), np.array([[0, -1], [1, -1]]))
    >>> (weights.shape, bool(weights[2, 0, 0] > weights[0, 0, 0] > 0), float(weights[0, 1, 0]))
    ((3, 2, 1), True, 0.0)
    """
    mean = embedding.mean(axis=0)
    scale = (embedding.std(axis=0) + 1e-6) * np.sqrt(embedding.shape[1])
    x = ((embedding - mean) / scale).astype(np.float32)
    found, start = [], np.zeros(labels.shape[1] * (x.shape[1] + 1))
    for ridge in RIDGES:
        start = _fitted(x, labels, ridge, start)
        found.append(start.reshape(labels.shape[1], -1))
    every = np.stack(found)
    weights = every[:, :, :-1] / scale
    return weights, every[:, :, -1] - weights @ mean


def _fitted(x: Single, labels: NDArray[np.int64], ridge: float, start: Array) -> Array:
    from scipy.optimize import minimize

    (n, d), c = x.shape, labels.shape[1]
    known, truth = (labels >= 0).astype(np.float32), (labels > 0).astype(np.float32)

    def loss(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(c, d + 1)
        weights = parameters[:, :-1]
        z = x @ weights.T.astype(np.float32) + parameters[:, -1].astype(np.float32)
        value = (known * (np.logaddexp(0, z) - truth * z)).sum(dtype=np.float64) / n + ridge / 2 * (weights**2).sum()
        off = known * (0.5 * (1 + np.tanh(z / 2)) - truth)
        slope = np.column_stack([off.T @ x, off.sum(axis=0)]).astype(np.float64) / n
        slope[:, :-1] += ridge * weights
        return float(value), slope.ravel()

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x)
