"""Images with several labels of which not every answer is known: whether one is wrong is not, unless a known answer is.

To count such an image as right would make `p_wrong` too low, to leave it out would waste its answers, and to keep only
those that are surely wrong too high. So it is drawn: wrong with the probability that its unknown answers leave,

    P(wrong) = 1 - Π (1 - p_wrong_c) over the unknown answers c,

one draw an image (single stochastic imputation, Little and Rubin 2002, Statistical Analysis with Missing Data, 4.3). It
holds where answers are missing whatever they would be. What promises count, and what quality is measured on, are only
images of which every answer is known.
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
from uncertainty.combination.mixture import Condition
from uncertainty.figures import number_of
from uncertainty.outputs import UNKNOWN_ANSWER

Answers = NDArray[np.int8]
"""(n, c) of single decisions: 1 wrong, 0 right, -1 whose answer nobody knows."""


def partly_answered(wrong: Answers) -> NDArray[np.bool_]:
    """Return (n,) images of which some answer is unknown.

    >>> partly_answered(np.array([[0, 1], [0, -1], [1, -1]], dtype=np.int8)).tolist()
    [False, True, True]
    """
    return np.asarray((wrong == UNKNOWN_ANSWER).any(axis=1))


def chance_wrong(wrong: Answers, p_wrong: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n,) how probable it is that an image is wrong: 0 or 1 where its known answers tell.

    `p_wrong` (n, c) is of single decisions. Of an image with one right answer and two unknown ones of 0.1 and 0.2:
    1 - 0.9 · 0.8.

    >>> chance_wrong(np.array([[0, -1, -1]], dtype=np.int8), np.array([[0.5, 0.1, 0.2]])).round(3).tolist()
    [0.28]
    """
    right = np.where(wrong == UNKNOWN_ANSWER, 1 - p_wrong.astype(np.float64), wrong != 1)
    return np.asarray(1 - right.prod(axis=1))


def drawn(chance: NDArray[np.float64], names: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Return (n,) whether each image is taken for wrong; by its name and the seed, so in whatever order it comes.

    >>> drawn(np.array([0.0, 1.0]), ["a.png", "b.png"], seed=0).tolist()
    [False, True]
    """
    return np.array([_lot(name, seed) < p for name, p in zip(names, chance, strict=True)], dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class OpenAnswers:
    """Decisions of the n calibration rows and their copies, some with an unknown answer.

    `wrong` (n, c); `p_wrong` (n, c), by experts of the row's own condition; `names` (n,) tell the rows apart.
    """

    wrong: Answers
    p_wrong: NDArray[np.float64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, decisions: DecisionEvidence, rows: Evidence, images: Sequence[str]) -> Self | None:
        """Judge the decisions of all rows; None where every answer is known. `images` are named as `groups` count."""
        if not partly_answered(decisions.wrong).any():
            return None
        each = {c: rows.rows(c) for c in CONDITIONS if rows.rows(c).any()}
        learnt: dict[Condition, NDArray[np.bool_]] = {c: own for c, own in each.items() if c != "foreign"}
        experts = DecisionExperts.fit(decisions.log_odds, decisions.wrong, learnt, rows.weights)
        p_wrong = np.zeros(decisions.log_odds.shape)
        for c, own in each.items():
            sure = {c: np.ones(int(own.sum()))}
            p_wrong[own] = experts.p_wrong(decisions.log_odds[own], decisions.said[own], sure)
        names = (f"{CONDITIONS[k]} {images[row]}" for k, row in zip(rows.condition, rows.groups, strict=True))
        return cls(decisions.wrong, p_wrong, tuple(names))

    def drawn_in(self, rows: Evidence, seed: int, p_wrong: NDArray[np.floating] | None = None) -> Evidence:
        """Return the rows with a chance to be wrong, and whether they are, drawn with it.

        `p_wrong` (n,) is what all evidence says of each image, from what did not learn from it. Its decisions are then
        brought to that: p_wrong_c · p_wrong / (1 - Π (1 - p_wrong_c)). What learns from chances that its own evidence
        had no part in would be too timid.
        """
        each = self.p_wrong
        if p_wrong is not None:
            together = np.maximum(1 - (1 - each).prod(axis=1), 1e-12)
            each = np.clip(each * (p_wrong / together)[:, None], 0, 1)
        chance = chance_wrong(self.wrong, each)
        return replace(rows, wrong=drawn(chance, self.names, seed), chance=chance)


def partly_told(wrong: Answers) -> tuple[str, ...]:
    """Say how many images are not answered whole, if any."""
    if not (n := int(partly_answered(wrong).sum())):
        return ()
    unsure = int(((wrong != 1).all(axis=1) & partly_answered(wrong)).sum())
    return (
        f"{n} of {number_of(len(wrong), 'calibration row')} have unknown answers: {unsure} of them count as wrong with "
        f"the probability that these leave, and promises about images rest on the {len(wrong) - n} others",
    )


def _lot(name: str, seed: int) -> float:
    """Return a number in 0..1, even over names."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7]) / 2**56
