"""Linear discriminant analysis with a shrunk covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._covariance import class_means, shrunk_covariance

Array = NDArray[np.float64]


def discriminant(x: Array, positions: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return weights (c, d) and intercepts (c,) of softmax(W x + b), from rows (n, d) of classes 0 … c - 1.

    The covariance within classes is shrunk towards the identity by Ledoit & Wolf's rule.

    >>> weights, intercepts = discriminant(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]))
    >>> bool(weights[1, 0] > 0 > weights[0, 0]), bool(intercepts[0] == intercepts[1])
    (True, True)
    """
    means = class_means(x, positions)
    weights = np.linalg.solve(shrunk_covariance(x - means[positions]), means.T).T
    shares = np.bincount(positions) / len(x)
    return np.asarray(weights), np.log(shares) - 0.5 * (means * weights).sum(axis=1)
