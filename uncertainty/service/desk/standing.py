"""How a review stands: what was found, what was to be expected, what all images are like, how far people agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uncertainty.annotation.expected_yield import Yield, expected_yield
from uncertainty.evaluation.matching import meaning
from uncertainty.labels.quality import Agreement, agreement
from uncertainty.recalibration.sampling_weights import DesignEstimate, design_estimate
from uncertainty.service.desk.counted import Counted, Screened
from uncertainty.service.desk.stopping import Outlook, outlook
from uncertainty.service.desk.store import Saved


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


def standing(counted: Counted, ahead: Sequence[int], floor: float) -> Standing:
    """Return how a review stands; `ahead` are the next rows of the ranking."""
    rows, errors, p = counted.settled(), counted.screened.calibration_errors, counted.screened.p_wrong
    wrong, chance = counted.wrong(rows), counted.inclusion(rows)
    return Standing(
        images=len(counted.images),
        found=int(wrong.sum()),
        expected=expected_yield(p[rows], counted.p_images, errors),
        left=counted.left(),
        differing=counted.differing(),
        unusable=counted.unusable(),
        people=+counted.people,
        outlook=outlook(p[list(ahead)], p[rows], wrong, floor, errors),
        accuracy=None if chance is None else design_estimate(wrong, chance),
    )


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
