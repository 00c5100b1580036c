"""Answers as they count, image by image: brought up to date with each of them, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.evaluation.matching import meaning
from uncertainty.service.desk.answers import Kind, Vocabulary
from uncertainty.service.desk.store import Saved
from uncertainty.service.desk.turns import How

_OF_AN_IMAGE = [
    *(("first", np.int64), ("settled", bool), ("differing", bool), ("wrong", bool)),
    *(("ranked", bool), ("drawn", bool), ("unusable", bool), ("told", bool)),
]


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


class Counted:
    """The answers of a review that were not withdrawn, each person's last of an image.

    Parameters
    ----------
    screened : what they are of.
    answers : those that there are already, the oldest first.

    Attributes
    ----------
    images : rows (m,) of the images of the ranking.
    p_images : their p_wrong (m,).
    people : how many images each person has answered; what was skipped is not.

    """

    def __init__(self, screened: Screened, answers: Iterable[Saved] = ()) -> None:
        self.screened = screened
        self.images = np.flatnonzero(screened.places >= 0)
        self.p_images = screened.p_wrong[self.images]
        self.people = Counter[str]()
        self._of = np.zeros(len(screened.names), dtype=_OF_AN_IMAGE)
        self._said: dict[int, dict[str, Saved]] = {}
        self._classes = frozenset(screened.vocabulary.classes)
        for one in answers:
            self._put(one)
        for item in self._said:
            self._count(item)

    def of(self, item: int) -> list[Saved]:
        """Return the answers for one image, the oldest first."""
        return list(self._said.get(item, {}).values())

    def add(self, one: Saved) -> None:
        """Count an answer in place of what this person said of the image before."""
        self._put(one)
        self._count(one.item)

    def remove(self, one: Saved) -> None:
        """Count an answer no more."""
        self._drop(one.item, one.annotator)
        self._count(one.item)

    def unskip(self, annotator: str) -> None:
        """Forget all that a person skipped."""
        for item, given in self._said.items():
            if (mine := given.get(annotator)) is not None and mine.answer.kind is Kind.SKIP:
                del given[annotator]
                self._count(item)

    def settled(self) -> NDArray[np.int64]:
        """Return rows (k,) of images about which no two people differ, in the order of their first answers."""
        rows = np.flatnonzero(self._of["settled"])
        return rows[np.argsort(self._of["first"][rows])]

    def wrong(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (k,) whether the predictions of settled images are wrong."""
        return np.asarray(self._of["wrong"][rows])

    def differing(self) -> tuple[int, ...]:
        """Return rows of the images whose answers differ, in their order."""
        return tuple(np.flatnonzero(self._of["differing"]).tolist())

    def unusable(self) -> int:
        """Return how many images somebody called unusable."""
        return int(self._of["unusable"].sum())

    def left(self) -> float:
        """Return how many errors the images of the ranking without an answer should hold."""
        return float(self.p_images[~self._of["told"][self.images]].sum())

    def inclusion(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return (k,) the chance that each settled image had to be labelled; None where none was drawn.

        The ranking has been gone through up to a place, and so far each image was sure to be shown: chance 1. Of the
        others as many were drawn as have a label: theirs is that share of them. An image without a label before that
        place (skipped, unusable, disputed) is one of the others, so that drawn ones stand for it. Where all others
        are unusable, which nobody calls right or wrong, the chance of the rest is 1: all that can be told is known.
        """
        places, of = self.screened.places[rows], self._of[rows]
        sure = places <= max(places[of["ranked"]].tolist(), default=-1)
        others = len(self.images) - int(sure.sum())
        if not (of["drawn"] & ~sure).any():
            known = self._of[self.images]
            return np.ones(len(rows)) if len(rows) and (known["settled"] | known["unusable"]).all() else None
        return np.where(sure, 1.0, int((~sure).sum()) / others)

    def _put(self, one: Saved) -> None:
        given = self._said.setdefault(one.item, {})
        if given.get(one.annotator) == one:  # the same answer sent again keeps its place
            return
        self._drop(one.item, one.annotator)
        given[one.annotator] = one
        self.people[one.annotator] += one.answer.kind is not Kind.SKIP

    def _drop(self, item: int, annotator: str) -> None:
        before = self._said.get(item, {}).pop(annotator, None)
        if before is not None:
            self.people[annotator] -= before.answer.kind is not Kind.SKIP

    def _count(self, item: int) -> None:
        given = self.of(item)
        words, several = self.screened.vocabulary, self.screened.vocabulary.task == "multilabel"
        judged = [one for one in given if one.answer.judged]
        told = {meaning(one.answer.label, self._classes, several) for one in judged}
        settled, how = len(told) == 1, judged[-1].how if judged else None
        self._of[item] = (
            judged[0].id if judged else 0,
            settled,
            len(told) > 1,
            settled and words.wrong(self.screened.predicted[item], judged[0].answer),
            how == How.RANKED,
            how == How.DRAWN,
            any(one.answer.kind is Kind.UNUSABLE for one in given),
            any(one.answer.kind is not Kind.SKIP for one in given),
        )
