"""Why a row is what it is: the evidence that raised its p_wrong, and how its image differs from known-good ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Mixture, Signals
from uncertainty.estimators.base import Estimator
from uncertainty.images.quality_words import QualityWords
from uncertainty.outputs import ModelOutputs
from uncertainty.verdicts import ranks

IMAGE = "image_quality"
UNUSUAL = "unusual_image"
"""What the image itself added to p_wrong, where no word of its own says how."""
ERROR_PRONE = "error_prone_class"
_MOST = 3  # reasons of the evidence; words of the image come beside them
_LOOKED_AT = 0.1  # of the calibration rows, those with the largest p_wrong, are as flagged ones are
_COMMON = 0.8  # of them a word may stand on, before it must be said of an image more than of the others


@dataclass(frozen=True)
class Telling:
    """What makes a reason tell images apart: the words of the image, and of common words how much is usual.

    `usual` gives, for each word that would stand on nearly every flagged image, what it adds to the log-odds of p_wrong
    in the median over them.
    """

    image: QualityWords | None = None
    usual: Mapping[str, float] = field(default_factory=dict)


NOTHING_LEARNT = Telling()


def reasons(
    outputs: ModelOutputs,
    known: Signals,
    judges: tuple[Sequence[Estimator], Mixture],
    telling: Telling,
) -> tuple[list[list[str]], list[list[str]]]:
    """Name for each row what raised its p_wrong most and behind that the words of its image, and those words alone.

    The first is for flagged rows, the second for others. `known` are the signals of the rows, `judges` the estimators
    and what combines them.
    """
    named = zip(*_named(outputs, known, judges, telling), strict=True)
    image = _of_images(outputs, telling)
    raised = [_largest(_totals(*row), telling.usual) for row in named]
    return [_joined(one, own) for one, own in zip(raised, image, strict=True)], [list(own) for own in image]


def usual(
    outputs: ModelOutputs, known: Signals, judges: tuple[Sequence[Estimator], Mixture], p_wrong: NDArray[np.floating]
) -> dict[str, float]:
    """Return, of words on nearly every calibration row of large p_wrong, how much they add in the median over those."""
    most = ranks(p_wrong) <= max(1, round(_LOOKED_AT * len(p_wrong)))
    named, parts = _named(outputs.take(most), known.take(most), judges, NOTHING_LEARNT)
    totals = [_totals(*row) for row in zip(named, parts, strict=True)]
    chosen = [_largest(total, {}) for total in totals]
    words = sorted({word for one in chosen for word in one})
    common = [word for word in words if sum(word in one for one in chosen) > _COMMON * len(chosen)]
    return {word: float(np.median([total.get(word, 0.0) for total in totals])) for word in common}


def _named(
    outputs: ModelOutputs, known: Signals, judges: tuple[Sequence[Estimator], Mixture], telling: Telling
) -> tuple[list[list[str]], NDArray[np.float64]]:
    """(n, m + 2) the word of each source and what it adds: estimators, statistics of the image, predicted class."""
    estimators, combiner = judges
    words = {e.name: e.reasons(outputs) for e in estimators}
    general = np.full(len(outputs), UNUSUAL)
    if telling.image is not None and IMAGE in words:
        words[IMAGE] = general  # how it is unusual is for the words that have a test
    columns = [*words.values(), words.get(IMAGE, general), np.full(len(outputs), ERROR_PRONE)]
    return [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)], combiner.contributions(known)


def _totals(words: Sequence[str], contributions: NDArray[np.float64]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for word, part in zip(words, contributions, strict=True):
        totals[word] = totals.get(word, 0.0) + float(part)
    return totals


def _largest(totals: Mapping[str, float], usual: Mapping[str, float]) -> list[str]:
    """Keep the largest of what each word adds, and those at least a quarter as large.

    A word that adds no more than it usually does is left out where another adds at least a tenth of it.

    >>> _largest({"low_margin": 1.1, "blurry": 0.4, "dark": -2.0}, {})
    ['low_margin', 'blurry']
    >>> _largest({"low_margin": 1.1, "blurry": 0.2, "dark": -2.0}, {"low_margin": 1.2})
    ['blurry']
    """
    raising = {word: total for word, total in totals.items() if total > 0}
    telling = {word: total for word, total in raising.items() if total > usual.get(word, 0.0)}
    if max(telling.values(), default=0.0) < max(raising.values(), default=0.0) / 10:
        telling = raising
    best = sorted(telling, key=lambda word: -telling[word])[:_MOST]
    return [word for word in best if telling[word] >= telling[best[0]] / 4]


def _of_images(outputs: ModelOutputs, telling: Telling) -> list[list[str]]:
    if telling.image is None or outputs.quality is None:
        return [[]] * len(outputs)
    return telling.image.words(outputs.quality)


def _joined(raised: Sequence[str], image: Sequence[str]) -> list[str]:
    """Put both together; what says in general that the image is unusual gives way to what says how.

    >>> _joined(["low_margin", "unusual_image"], ["dark"])
    ['low_margin', 'dark']
    """
    return [*(word for word in raised if not (image and word == UNUSUAL)), *image]
