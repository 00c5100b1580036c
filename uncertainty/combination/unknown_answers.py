"""Images with several labels of which not every answer is known: whether one is wrong is not, unless a known answer is.

To count such an image as right would make `p_wrong` too low, to leave it out would waste its answers, and to keep only
those that are surely wrong too high. So experts learn how probable it is, and what counts errors is drawn with that
chance (single stochastic imputation, Little and Rubin 2002, Statistical Analysis with Missing Data, 4.3):

    P(wrong | known answers are right) = 1 - (1 - P(some decision is wrong)) / (1 - P(some known one is)).

It holds where answers are missing whatever they would be. What promises count, and what quality is measured on, are
only images of which every answer is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.decision_experts import DecisionExperts
from uncertainty.combination.decision_fit import DecisionEvidence
from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.mixture import Condition, Floats, expit, logit
from uncertainty.figures import number_of
from uncertainty.outputs import UNKNOWN_ANSWER

_RIDGE = 5.0
_TINY = 1e-9
Answers = NDArray[np.int8]
"""(n, c) of single decisions: 1 wrong, 0 right, -1 whose answer nobody knows."""


def partly_answered(wrong: Answers) -> NDArray[np.bool_]:
    """Return (n,) images of which some answer is unknown.

    >>> partly_answered(np.array([[0, 1], [0, -1], [1, -1]], dtype=np.int8)).tolist()
    [False, True, True]
    """
    return np.asarray((wrong == UNKNOWN_ANSWER).any(axis=1))


@dataclass(frozen=True, eq=False)
class OpenAnswers:
    """Decisions of n images, some with an unknown answer: `wrong` (n, c), and p_wrong (n, c) of each."""

    wrong: Answers
    p_wrong: Floats

    @classmethod
    def of(cls, decisions: DecisionEvidence, rows: Evidence) -> Self | None:
        """Judge all decisions of calibration rows and copies by experts of their condition; None if all are known."""
        if not partly_answered(decisions.wrong).any():
            return None
        each = {c: rows.rows(c) for c in CONDITIONS if rows.rows(c).any()}
        learnt: dict[Condition, NDArray[np.bool_]] = {c: own for c, own in each.items() if c != "foreign"}
        experts = DecisionExperts.fit(decisions.log_odds, decisions.wrong, learnt, rows.weights)
        p_wrong = np.zeros(decisions.log_odds.shape)
        for c, own in each.items():
            sure = {c: np.ones(int(own.sum()))}
            p_wrong[own] = experts.p_wrong(decisions.log_odds[own], decisions.said[own], sure)
        return cls(decisions.wrong, p_wrong)

    def chances(self, weights: Floats, p_wrong: NDArray[np.floating] | None = None) -> Floats:
        """Return (n,) how probable it is that each image is wrong; `weights` (n,) are what they count.

        `p_wrong` (n,) is what all evidence says of each, from what did not learn from it. Both probabilities are then
        brought to it, by one power of 1 - P: what learns from chances that its own evidence had no part in would be
        too timid.

        Of one right answer and two unknown ones of 0.1 and 0.2, were they independent, 1 - 0.9 · 0.8:

        >>> wrong = np.array([[0, -1, -1]], dtype=np.int8)
        >>> OpenAnswers(wrong, np.array([[0.5, 0.1, 0.2]])).chances(np.zeros(1)).round(3).tolist()
        [0.28]
        """
        known, law = self.wrong != UNKNOWN_ANSWER, self.together(weights)
        of_all, of_known = (_log_none(self.p_wrong, some, law) for some in (np.ones_like(known), known))
        power = 1.0 if p_wrong is None else _log_right(p_wrong.astype(np.float64)) / np.minimum(of_all, -_TINY)
        others = -np.expm1(power * np.minimum(of_all - of_known, 0.0))
        return np.where((self.wrong == 1).any(axis=1), 1.0, others)

    def together(self, weights: Floats) -> tuple[float, float]:
        """Return a and b of how probable it is that some of several decisions is wrong, which are not independent.

        With z = logit (1 - Π (1 - p_wrong_c)) of these and m the share of the other decisions that are among them,
        logit P = z + m (a + b z): one decision is as probable as it says. Both numbers are learnt from whether a known
        answer of a row is wrong, and drawn to 0, independence.
        """
        from scipy.optimize import minimize

        known = self.wrong != UNKNOWN_ANSWER
        z, m = _odds(self.p_wrong, known)
        weight, y = weights * known.any(axis=1), (self.wrong == 1).any(axis=1)

        def loss(ab: Floats) -> tuple[float, Floats]:
            log_odds = z + m * (ab[0] + ab[1] * z)
            off = weight * (expit(log_odds) - y) * m
            value = weight @ (np.logaddexp(0, log_odds) - y * log_odds) + _RIDGE / 2 * ab @ ab
            return float(value), np.array([off.sum(), off @ z]) + _RIDGE * ab

        a, b = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B").x
        return float(a), float(b)


def with_chances(
    rows: Evidence, answers: OpenAnswers, images: Sequence[str], seed: int, p_wrong: Floats | None = None
) -> Evidence:
    """Return calibration rows with the chance that they are wrong, and whether they are, drawn with it.

    `images` are named as `groups` count; `p_wrong`: see `OpenAnswers.chances`.
    """
    chance = answers.chances(rows.weights, p_wrong)
    names = [f"{CONDITIONS[k]} {images[row]}" for k, row in zip(rows.condition, rows.groups, strict=True)]
    return replace(rows, wrong=drawn(chance, names, seed), chance=chance)


def drawn(chance: Floats, names: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Return (n,) whether each image is taken for wrong; by its name and the seed, so in whatever order it comes.

    >>> drawn(np.array([0.0, 1.0]), ["a.png", "b.png"], seed=0).tolist()
    [False, True]
    """
    return np.array([_lot(name, seed) < p for name, p in zip(names, chance, strict=True)], dtype=np.bool_)


def partly_told(wrong: Answers) -> tuple[str, ...]:
    """Say how many images are not answered whole, if any."""
    if not (n := int(partly_answered(wrong).sum())):
        return ()
    unsure = int(((wrong != 1).all(axis=1) & partly_answered(wrong)).sum())
    return (
        f"{n} of {number_of(len(wrong), 'calibration row')} have unknown answers: {unsure} of them count as wrong with "
        f"the probability that these leave, and promises about images rest on the {len(wrong) - n} others",
    )


def _odds(p_wrong: Floats, some: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return (n,) log-odds that one of some decisions is wrong, were they independent, and what share they are."""
    z = logit(1 - np.where(some, 1 - p_wrong, 1.0).prod(axis=1))
    return z, np.maximum(some.sum(axis=1) - 1, 0) / max(some.shape[1] - 1, 1)


def _log_none(p_wrong: Floats, some: NDArray[np.bool_], law: tuple[float, float]) -> Floats:
    """Return (n,) the logarithm of how probable it is that none of some decisions is wrong."""
    z, m = _odds(p_wrong, some)
    return _log_right(expit(z + m * (law[0] + law[1] * z)))


def _log_right(p_wrong: Floats) -> Floats:
    return np.asarray(np.log1p(-np.minimum(p_wrong, 1 - _TINY)))


def _lot(name: str, seed: int) -> float:
    """Return a number in 0..1, even over names."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7]) / 2**56
