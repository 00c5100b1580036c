"""Which labels are likely wrong, where classifier and screener are believed no further than the labels bear out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from uncertainty.labels.quality import LEAST_RIGHT, class_beliefs, label_wrong_and_fit

Floats = NDArray[np.float64]
LIKELY = 0.5
"""From this probability on a label is called likely wrong."""
_TRIED_ON, _NUMBERS = 5000, 500_000  # labels, and beliefs, from which on more would choose the same
_TINY = 1e-12


@dataclass(frozen=True)
class Trust:
    """How far classifier and screener are believed against people.

    `evenness` and `more_wrong` of `Seen.beliefs` are chosen among these; people are right `least_right` of the time at
    least; and nothing is accused whose suggestion had less than `support` before any label was looked at.
    """

    evenness: tuple[float, ...] = (0.02, 0.1, 0.25, 0.5, 1.0)
    more_wrong: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    least_right: float = LEAST_RIGHT
    support: float = 0.0


# Settled on digits and CIFAR-10, clean and damaged by unseen kinds, with right labels and with planted errors.
TRUST = {
    False: Trust(),
    None: Trust(support=0.5),
    True: Trust(evenness=(0.5, 1.0), more_wrong=(1.0, 1.5), least_right=0.95, support=0.5),
}
"""By whether the images are not like calibration; None where nobody looked."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What classifier and screener say of n images, before any label is looked at.

    Parameters
    ----------
    p_wrong, predicted : (n,) in 0..1, and positions of classes.
    probs : (n, c) of the classifier.
    suggested, suggested_share : (n,) another class that all evidence together names, -1 for none, and which share of
        the chance of an error is for it, 0..1; None where nothing of the kind was learnt.

    """

    p_wrong: Floats
    predicted: NDArray[np.int64]
    probs: Floats
    suggested: NDArray[np.int64] | None = None
    suggested_share: Floats | None = None

    def beliefs(self, evenness: float = 0.0, more_wrong: float = 0.0) -> Floats:
        """Return (n, c) how probable each class is, as `class_beliefs` does; a suggestion gets its share of p_wrong.

        Of p_wrong, `evenness` is shared out among the other classes alike, and its log-odds are `more_wrong` higher.

        >>> one = Seen(np.array([0.5]), np.array([0]), np.array([[0.8, 0.2, 0.0]]))
        >>> one.beliefs().tolist(), one.beliefs(evenness=0.5).tolist()
        ([[0.5, 0.5, 0.0]], [[0.5, 0.375, 0.125]])
        """
        odds = self.p_wrong / np.maximum(1 - self.p_wrong, _TINY) * np.exp(more_wrong)
        p = odds / (1 + odds)
        rest = class_beliefs(np.ones(len(p)), self.predicted, self._pointed())
        rows, others = np.arange(len(p)), max(rest.shape[1] - 1, 1)
        q = ((1 - evenness) * rest + evenness / others) * p[:, None]
        q[rows, self.predicted] = 1 - p
        return np.asarray(q)

    def take(self, rows: NDArray[np.int64]) -> Seen:
        """Return the rows at these positions."""
        suggested = None if self.suggested is None else self.suggested[rows]
        share = None if self.suggested_share is None else self.suggested_share[rows]
        return Seen(self.p_wrong[rows], self.predicted[rows], self.probs[rows], suggested, share)

    def _pointed(self) -> Floats:
        """(n, c) probabilities in which a suggestion has its share of those that were not predicted."""
        probs = np.array(self.probs, dtype=np.float64)
        if self.suggested is None or self.suggested_share is None:
            return probs
        at = np.flatnonzero((self.suggested >= 0) & (self.suggested != self.predicted))
        of, share = self.suggested[at], self.suggested_share[at]
        probs[at, self.predicted[at]] = probs[at, of] = 0
        rest = probs[at].sum(axis=1)
        share = np.where(rest > _TINY, share, 1)
        probs[at] *= ((1 - share) / np.maximum(rest, _TINY))[:, None]
        probs[at, of] = share
        return probs


def likely_errors(
    labels: NDArray[np.int64], seen: Seen, alarm: bool | None = None
) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """Return (n,) how probably each label is wrong, what the image more likely is, and which labels to accuse.

    The scores are those of `label_wrong`, NaN for a label of -1. Where an image is probably misjudged, the classifier's
    other probabilities may say much, as on clean images, or nothing, as on damaged ones. So how far they are evened
    out, and p_wrong raised, is what makes these labels most likely (chosen on 5,000 of them). `alarm` says whether the
    images are not like calibration: then p_wrong is doubted more and people less (`TRUST`). A label is accused from
    LIKELY on, unless what is suggested in its place had too little support before any label was looked at.

    Ten images are surely of class 0, and one of them is labelled 1; of the last, labelled 2, nothing is known:

    >>> seen = Seen(np.array([0.01] * 10 + [0.9]), np.zeros(11, dtype=int), np.array([[0.9, 0.1, 0.0]] * 11))
    >>> labels = np.array([0] * 9 + [1, 2])
    >>> wrong, suggested, accused = likely_errors(labels, seen)
    >>> int(suggested[9]), np.flatnonzero(accused).tolist()
    (0, [9])
    """
    trust, tried = TRUST[alarm], _some(labels, seen)
    ways = {
        way: label_wrong_and_fit(tried[0], tried[1].beliefs(*way), trust.least_right)[1]
        for way in product(trust.evenness, trust.more_wrong)
    }
    q = seen.beliefs(*max(ways, key=lambda way: ways[way]))
    score = label_wrong_and_fit(labels, q, trust.least_right)[0]
    rows = np.flatnonzero(labels >= 0)
    q[rows, labels[rows]] = -1
    accused = (score >= LIKELY) & (q.max(axis=1, initial=0) >= trust.support)
    return score, q.argmax(axis=1), accused


def _some(labels: NDArray[np.int64], seen: Seen) -> tuple[NDArray[np.int64], Seen]:
    most = min(_TRIED_ON, max(1, _NUMBERS // max(seen.probs.shape[1], 1)))
    if len(labels) <= most:
        return labels, seen
    rows = np.random.default_rng(0).permutation(len(labels))[:most]
    return labels[rows], seen.take(rows)
