"""Where labels come from: all images, picked ones, or drawn ones; accuracy of picked images is not that of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.figures import number_of
from uncertainty.recalibration.sampling_weights import chosen_by_score


@dataclass(frozen=True)
class LabelOrigin:
    """How `labelled` of `images` that could be read came by their labels.

    Parameters
    ----------
    drawn, picked : how many were drawn by chance, and how many chosen, as `rank` says; None where nobody says so.
    right_drawn, right_picked : of those, how many the classifier got right.
    suspicious : whether the labelled images differ in p_wrong from the others, so that they were hardly a random draw.

    """

    labelled: int
    images: int
    drawn: int | None = None
    picked: int | None = None
    right_drawn: int = 0
    right_picked: int = 0
    suspicious: bool = False

    @property
    def all(self) -> bool:
        """Whether every image has a label."""
        return self.labelled == self.images

    def words(self, have: str = "have labels") -> str:
        """Say it in one sentence; "" where all images have labels, or whatever else makes them count."""
        if self.all:
            return ""
        of = f"{self.labelled} of {number_of(self.images, 'image')} {have}"
        if self.drawn is not None and self.picked is not None:
            parts = [
                f"{count} {how} ({right / count:.1%} right)"
                for count, how, right in (
                    (self.picked, "picked", self.right_picked),
                    (self.drawn, "drawn by chance", self.right_drawn),
                )
                if count
            ]
            return f"{of}: {', '.join(parts)}; figures of the labelled images alone are not those of all"
        if not self.labelled:
            return of
        if self.suspicious:
            return (
                f"{of}, and they look picked: their p_wrong differs from that of the others, so figures of them are "
                "not those of all images; `uncertainty rank --explore` draws a part by chance"
            )
        return f"{of}, and they look drawn by chance: their p_wrong is like that of the others"


def label_origin(
    p_wrong: NDArray[np.floating],
    labelled: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    chance: NDArray[np.floating] | None = None,
) -> LabelOrigin:
    """Tell picked labels from drawn ones.

    Parameters
    ----------
    p_wrong, labelled : (n,) of the images that could be read.
    wrong, chance : (n,) whether the classifier was wrong, and the chance in (0, 1] that the image had to be labelled;
        both are read where `labelled` is true. 1 is picked, less is drawn. None: nobody says.

    Of four images two are labelled: one was picked, and is wrong, one drawn from the three others.

    >>> found = label_origin(np.array([0.9, 0.2, 0.1, 0.1]), np.array([True, True, False, False]),
    ...     np.array([True, False, False, False]), np.array([1, 1 / 3, 1, 1]))
    >>> found.words().partition(";")[0]
    '2 of 4 images have labels: 1 picked (0.0% right), 1 drawn by chance (100.0% right)'
    """
    n, m = len(labelled), int(labelled.sum())
    if chance is not None and (chance[labelled] < 1).any():
        by_chance = labelled & (chance < 1)
        chosen = labelled & ~by_chance
        return LabelOrigin(
            m, n, int(by_chance.sum()), int(chosen.sum()), int((by_chance & ~wrong).sum()), int((chosen & ~wrong).sum())
        )
    whole = np.ones(n, dtype=bool)
    return LabelOrigin(m, n, suspicious=chosen_by_score(p_wrong.astype(np.float64), whole, labelled) is not None)
