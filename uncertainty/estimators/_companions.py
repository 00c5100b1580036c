"""Which labels stand beside which: what the others that an image may carry say of a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._label_vote import carried_share

Array = NDArray[np.float64]

_PRIOR = 2.0  # images that a label is thought to have beside those that were seen, like all images


def companions(labels: NDArray[np.signedinteger]) -> Array:
    """Return (2, c, c): the log of P(j carried | c carried) / P(j carried | c not), and the same of j not carried.

    labels : (m, c) of 1, 0 and -1, an answer that nobody knows; each pair is counted where both are known. Smoothed by
    two images, so a pair that was never seen is unlikely and not impossible; 0 on the diagonal.

    Of 2 images with label 0 both have label 1 too, of 2 without it none: (2 + 1) / (2 + 2) against (0 + 1) / (2 + 2).

    >>> companions(np.array([[1, 1], [1, 1], [0, 0], [0, 0]]))[:, 0, 1].round(3).tolist() == [
    ...     round(float(np.log(3)), 3), round(float(np.log(1 / 3)), 3)]
    True
    """
    on, off = ((labels == value).astype(np.float64) for value in (1, 0))
    share = carried_share(labels)
    beside = [(own.T @ on + _PRIOR * share) / (own.T @ (on + off) + _PRIOR) for own in (on, off)]
    with_it, without = (rate.clip(1e-4, 1 - 1e-4) for rate in beside)
    ratios = np.stack([np.log(with_it / without), np.log((1 - with_it) / (1 - without))])
    ratios[:, np.arange(len(share)), np.arange(len(share))] = 0
    return ratios


def from_companions(ratios: Array, probs: Array) -> Array:
    """Return (n, c) log-odds that the other labels give each label, by how probable each of them is (n, c).

    >>> from_companions(np.log([[[1.0, 3.0], [3.0, 1.0]], [[1.0, 0.5], [0.5, 1.0]]]), np.array([[0.2, 1.0]])).round(
    ...     3).tolist()
    [[1.099, -0.335]]
    """
    carried, not_carried = ratios
    return np.asarray(probs @ carried.T + (1 - probs) @ not_carried.T)
