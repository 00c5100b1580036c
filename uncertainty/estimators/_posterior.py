"""One posterior over the classes from several: how much each of them counts, learnt from labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

RIDGES = (300.0, 30.0)
"""What may hold B back, the strongest first."""
_BIAS_RIDGE = 10.0
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Fusion:
    """g_c = Σ_s w_s log p_s(c) + B_cᵀ φ + b_c: log-posteriors up to a constant.

    Parameters
    ----------
    weights : (s,) w >= 0 of each source; at 1 for the first, and 0 for the others, where no label speaks.
    bias : (c,) b.
    directions : (c, q) B; q may be 0.

    """

    weights: Array
    bias: Array
    directions: Array


def fused(logs: Array, phi: Array, labels: Labels, ridge: float) -> Fusion:
    """Minimise Σ label log loss + ½ ‖w - w0‖² + 5 ‖b‖² + ridge / 2 · ‖B‖², w >= 0, by L-BFGS-B.

    logs : (n, c, s) log-probabilities of each source; phi : (n, q); labels : (n,).

    Two sources, of which the second is right each time: it comes to count.

    >>> sure, other = np.log([0.9, 0.1]), np.log([0.1, 0.9])
    >>> logs = np.stack([np.stack([sure, sure]), np.stack([sure, other])], axis=2)
    >>> fused(logs, np.empty((2, 0)), np.array([0, 1]), 30.0).weights.round(2).tolist()
    [0.46, 0.81]
    """
    return _unpacked(_solved(logs, phi, labels, ridge, None), logs.shape, phi.shape[1])


def best_ridge(logs: Array, phi: Array, labels: Labels, fold: Labels) -> float:
    """Return the ridge on B with the lowest label log loss out of fold; 0 where B only costs, and so is left out."""
    if not phi.shape[1]:
        return 0.0
    ridges = (0.0, *RIDGES)
    losses = np.zeros(len(ridges))
    for k in range(_FOLDS):
        own = fold == k
        start = None
        for position, ridge in enumerate(ridges):
            used = phi if ridge else phi[:, :0]
            if start is not None and position == 1:
                start = np.append(start, np.zeros(logs.shape[1] * phi.shape[1]))
            start = _solved(logs[~own], used[~own], labels[~own], ridge, start)
            fit = _unpacked(start, logs.shape, used.shape[1])
            losses[position] += _log_loss(posterior_scores(fit, logs[own], used[own]), labels[own])
    return ridges[int(losses.argmin())]


def posterior_scores(fit: Fusion, logs: Array, phi: Array) -> Array:
    """Return g (n, c)."""
    return np.asarray(logs @ fit.weights + fit.bias + phi @ fit.directions.T)


def _unpacked(flat: Array, shape: tuple[int, ...], q: int) -> Fusion:
    _, c, s = shape
    return Fusion(flat[:s], flat[s : s + c], flat[s + c :].reshape(c, q))


def _solved(logs: Array, phi: Array, labels: Labels, ridge: float, start: Array | None) -> Array:
    from scipy.optimize import minimize

    n, c, s = logs.shape
    q = phi.shape[1]
    flat_logs, rows = logs.reshape(n * c, s), np.arange(n)
    center = np.append(1.0, np.zeros(s - 1 + c + c * q))
    pull = np.concatenate([np.ones(s), np.full(c, _BIAS_RIDGE), np.full(c * q, ridge if q else 0.0)])

    def loss(flat: Array) -> tuple[float, Array]:
        away = flat - center
        g = (flat_logs @ flat[:s]).reshape(n, c) + flat[s : s + c]
        if q:
            g += phi @ flat[s + c :].reshape(c, q).T
        g -= g.max(axis=1, keepdims=True)
        own = g[rows, labels]
        np.exp(g, out=g)
        total = g.sum(axis=1, keepdims=True)
        value = (np.log(total[:, 0]) - own).sum() + (pull * away) @ away / 2
        g /= total
        g[rows, labels] -= 1
        slope = [g.ravel() @ flat_logs, g.sum(axis=0)]
        slope += [(g.T @ phi).ravel()] if q else []
        return float(value), np.concatenate(slope) + pull * away

    bounds = [(0.0, None)] * s + [(None, None)] * (c + c * q)
    options = {"maxiter": 300, "ftol": 1e-8}
    first = center if start is None else start
    return np.asarray(minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)


def _log_loss(g: Array, labels: Labels) -> float:
    top = g.max(axis=1)
    return float((top + np.log(np.exp(g - top[:, None]).sum(axis=1)) - g[np.arange(len(g)), labels]).sum())
