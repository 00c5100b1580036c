"""Images of a stream whose labels came later: like calibration, damaged, or of no known class, and nobody says which.

To learn from all of them as from images like calibration teaches the clean expert of damage, and ranks clean images and
damaged ones worse. So each counts to every condition with the probability that the present mixture gives it, its answer
known: one expectation step of expectation maximisation (Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39(1)).

    P(k | x, wrong) ∝ P(k | x) P(wrong | x, k)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncertainty.combination.evidence_rows import CONDITIONS, Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncertainty.combination.mixture import Floats, Mixture

_TINY = 1e-12


def condition_shares(evidence: Evidence, mixture: Mixture, later: NDArray[np.bool_]) -> Floats:
    """Return (n, 3) how probable each of CONDITIONS is; 1 for that of a row whose condition is known.

    `later` (n,) are the others. What calibration has no copies of is nothing that such a row can teach.
    """
    shares = np.eye(len(CONDITIONS))[evidence.condition]
    odds, wrong = mixture.conditions(evidence.signals.take(later))
    told = np.asarray(evidence.taught[later], dtype=np.float64)[:, None]
    odds += np.log(np.maximum(told * wrong + (1 - told) * (1 - wrong), _TINY))
    names = ("clean", *mixture.gates)
    taught = np.array([k == "clean" or evidence.rows(k).any() for k in names])
    likely = np.exp(odds - odds.max(axis=1, keepdims=True)) * taught
    columns = np.array([CONDITIONS.index(k) for k in names])
    shares[np.flatnonzero(later)[:, None], columns] = likely / np.maximum(likely.sum(axis=1, keepdims=True), _TINY)
    return shares
