"""Means of classes and covariances that can be inverted, as several estimators fit them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Keeps the covariance of rows that are all alike invertible.
_SMALLEST_VARIANCE = 1e-12


def class_means(x: Array, positions: NDArray[np.int64]) -> Array:
    """Return (c, d): the mean of the rows (n, d) of each class 0..c-1.

    >>> class_means(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]), np.array([0, 0, 1])).tolist()
    [[2.0, 0.0], [0.0, 5.0]]
    """
    return np.stack([x[positions == k].mean(axis=0) for k in range(positions.max() + 1)])


def shrunk_covariance(centred: Array) -> Array:
    """Covariance (d, d) of centred rows (n, d), shrunk towards a multiple of the identity by Ledoit & Wolf's rule.

    >>> shrunk_covariance(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])).round(6).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    covariance = centred.T @ centred / len(centred)
    target = np.trace(covariance) / len(covariance)
    covariance *= 1 - shrinkage
    covariance.flat[:: len(covariance) + 1] += shrinkage * target + _SMALLEST_VARIANCE
    return np.asarray(covariance)


def whitening(covariance: Array) -> Array:
    """Return W (d, d) with ‖x W‖² = xᵀ Σ⁻¹ x: a Mahalanobis distance becomes a Euclidean one.

    >>> whitening(np.array([[4.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.5, 0.0], [0.0, 1.0]]
    """
    return np.asarray(np.linalg.solve(np.linalg.cholesky(covariance), np.eye(len(covariance))).T)


def principal_axes(x: Array, most: int) -> tuple[Array, Array]:
    """Return the mean (d,) of rows (n, d) and their first axes (q, d), q <= most, over the spread along the first.

    >>> mean, axes = principal_axes(np.array([[3.0, 1.0], [-1.0, 1.0]]), 1)
    >>> mean.tolist(), np.abs(axes).tolist()
    ([1.0, 1.0], [[0.5, 0.0]])
    """
    from scipy.linalg import eigh

    n, d = x.shape
    mean = x.mean(axis=0)
    q = min(most, d)
    if not q:
        return mean, np.empty((0, d))
    variances, axes = eigh((x - mean).T @ (x - mean) / n, subset_by_index=[d - q, d - 1])
    return mean, np.asarray(axes[:, ::-1].T / np.sqrt(max(variances[-1], _SMALLEST_VARIANCE)))
