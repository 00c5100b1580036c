"""How a review stands: what was found, what was to be expected, what all images are like, how far people agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.expected_yield import Yield, expected_yield
from uncertainty.evaluation.matching import meaning
from uncertainty.labels.quality import Agreement, agreement
from uncertainty.recalibration.sampling_weights import DesignEstimate, design_estimate
from uncertainty.service.desk.answers import Kind, Vocabulary
from uncertainty.service.desk.stopping import Outlook, outlook
from uncertainty.service.desk.store import Saved
from uncertainty.service.desk.turns import How


@dataclass(frozen=True, eq=False)
class Screened:
    """What the screening said of n images: names, predictions, p_wrong (n,) with NaN for unreadable ones, and how many
    errors that was learnt from; and the places (n,) of the images in the ranking, -1 for those that are not in it.
    """

    names: Sequence[str]
    predicted: Sequence[str | None]
    p_wrong: NDArray[np.float64]
    places: NDArray[np.int64]
    vocabulary: Vocabulary
    calibration_errors: int | None = None


@dataclass(frozen=True, eq=False)
class Settled:
    """Images about which no two people differ, in the order of their answers: rows (m,), whether wrong (m,), labels."""

    rows: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    labels: Sequence[str]


@dataclass(frozen=True)
class Standing:
    """How a review stands.

    `found` of `expected.n` settled images are wrong; `differing` have answers that differ, by row. `accuracy` is of
    all images, None where none was drawn. `left` is how many errors the images without an answer should hold.
    """

    images: int
    found: int
    expected: Yield
    left: float
    differing: tuple[int, ...]
    unusable: int
    people: Mapping[str, int]
    outlook: Outlook | None
    accuracy: DesignEstimate | None


def settled(screened: Screened, answers: Sequence[Saved]) -> tuple[Settled, list[int]]:
    """Return the images that are settled, and those with different answers."""
    said: dict[int, list[Saved]] = {}
    for one in answers:
        if one.answer.judged:
            said.setdefault(one.item, []).append(one)
    classes = frozenset(screened.vocabulary.classes)
    several = screened.vocabulary.task == "multilabel"
    told = {row: {meaning(one.answer.label, classes, several) for one in given} for row, given in said.items()}
    rows = [row for row in said if len(told[row]) == 1]
    wrong = [screened.vocabulary.wrong(screened.predicted[row], said[row][0].answer) for row in rows]
    labels = [said[row][0].answer.label for row in rows]
    found = Settled(np.array(rows, dtype=np.int64), np.array(wrong, dtype=bool), labels)
    return found, sorted(row for row in said if len(told[row]) > 1)


def standing(screened: Screened, answers: Sequence[Saved], ahead: Sequence[int], floor: float) -> Standing:
    """Return how a review stands; `ahead` are the next rows of the ranking."""
    done, differing = settled(screened, answers)
    p, pool = screened.p_wrong, np.flatnonzero(screened.places >= 0)
    chance = inclusion(screened, answers, done.rows)
    told = {one.item for one in answers if one.answer.kind is not Kind.SKIP}
    left = p[pool[~np.isin(pool, list(told))]]
    return Standing(
        images=len(pool),
        found=int(done.wrong.sum()),
        expected=expected_yield(p[done.rows], p[pool], screened.calibration_errors),
        left=float(left.sum()),
        differing=tuple(differing),
        unusable=len({one.item for one in answers if one.answer.kind is Kind.UNUSABLE}),
        people=Counter(one.annotator for one in answers if one.answer.kind is not Kind.SKIP),
        outlook=outlook(p[list(ahead)], p[done.rows], done.wrong, floor, screened.calibration_errors),
        accuracy=None if chance is None else design_estimate(done.wrong, chance),
    )


def inclusion(screened: Screened, answers: Sequence[Saved], rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return (m,) the chance that each of these rows had to be labelled; None where none was drawn.

    The ranking has been gone through up to a place, and so far each image was sure to be shown: chance 1. Of the
    others as many were drawn as have a label: theirs is that share of them. An image without a label before that place
    (skipped, unusable, disputed) is one of the others, so that drawn ones stand for it.
    """
    came = {one.item: one.how for one in answers if one.answer.judged}
    ranked = [screened.places[row] for row in rows.tolist() if came[row] == How.RANKED]
    sure = screened.places[rows] <= max(ranked, default=-1)
    drawn = np.array([came[row] == How.DRAWN for row in rows.tolist()], dtype=bool) & ~sure
    others = int((screened.places >= 0).sum()) - int(sure.sum())
    if not drawn.any():
        return np.ones(len(rows)) if len(rows) and not others else None
    return np.where(sure, 1.0, int((~sure).sum()) / others)


def agreed(screened: Screened, answers: Sequence[Saved]) -> list[Agreement]:
    """Return how far people agree on the images that two of them answered."""
    classes = frozenset(screened.vocabulary.classes)
    several = screened.vocabulary.task == "multilabel"
    told: dict[str, dict[str, Any]] = {}
    for one in answers:
        if one.answer.judged:
            label = meaning(one.answer.label, classes, several)
            told.setdefault(one.annotator, {})[screened.names[one.item]] = label
    return agreement(told)
