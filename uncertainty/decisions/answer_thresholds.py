"""Thresholds of the classifier's own answers: from which probability on a class is said, for a wanted precision or
recall of it.

Every class is decided by itself against the rest. Read off the curve (`confidence` 0), or promised with the exact
binomial tails of `guarantees.py`: precision by fixed-sequence testing from the surest answers on, recall by an order
statistic of the images that have the class. Promises of several classes at once share what is left of the confidence
alike (Bonferroni): Holm's steps would only help classes whose every threshold is certified.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.decisions.guarantees import STARTS, certify, missable, rows_needed, shares_of_confidence
from uncertainty.decisions.plans import Share
from uncertainty.decisions.policies import percent
from uncertainty.decisions.thresholds import just_above
from uncertainty.defaults import CONFIDENCE
from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.metrics.curves import class_curve
from uncertainty.outputs import UNKNOWN_ANSWER

Kind = Literal["precision", "recall"]
Probabilities = NDArray[np.float32] | NDArray[np.float64]
_LOT = 15


@dataclass(frozen=True)
class Wanted:
    """What is asked of each class's answers; make one with `Wanted.of`, which checks it.

    `confidence` is that of the promise over the draw of the labelled images, 0: read off the curve, no promise.
    `together`: all classes keep it at once with this confidence, else each does.
    """

    kind: Kind
    share: float
    confidence: float = CONFIDENCE
    together: bool = True

    @classmethod
    def of(
        cls,
        *,
        precision: float | None = None,
        recall: float | None = None,
        confidence: float | None = None,
        together: bool = True,
    ) -> Self:
        """Return the one thing asked; InputError for none, for both, and for numbers out of range.

        >>> Wanted.of(precision=0.9)
        Wanted(kind='precision', share=0.9, confidence=0.95, together=True)
        """
        if (precision is None) == (recall is None):
            raise InputError("say precision or recall, one of them: a threshold answers one question")
        kind: Kind = "recall" if precision is None else "precision"
        share = recall if precision is None else precision
        sure = CONFIDENCE if confidence is None else confidence
        if share is None or not 0 < share <= 1:
            raise InputError(f"{kind} is {share}; it must be a share above 0, and at most 1")
        if not 0 <= sure < 1:
            raise InputError(f"confidence is {sure:g}; it must be below 1, and 0 or above")
        if share == 1 and sure:
            raise InputError(f"no number of labels can promise a {kind} of 1; ask for less, or say confidence 0")
        return cls(kind, share, sure, together)

    def each(self, classes: int) -> float:
        """Return the confidence that each of so many classes is promised with.

        >>> round(Wanted.of(recall=0.9, confidence=0.9).each(2), 6), Wanted.of(recall=0.9, together=False).each(2)
        (0.95, 0.95)
        """
        if not self.confidence or not self.together:
            return self.confidence
        return shares_of_confidence(self.confidence, range(classes))

    def __str__(self) -> str:
        """In words.

        >>> str(Wanted.of(precision=0.9))
        'precision of at least 90 %, with 95 % confidence in all classes together'
        """
        said = f"{self.kind} of at least {percent(self.share)}"
        if not self.confidence:
            return f"{said}, read off the curve, no promise"
        return f"{said}, with {percent(self.confidence)} confidence in {'all' if self.together else 'each'} " + (
            "classes together" if self.together else "class alone"
        )


@dataclass(frozen=True)
class AnswerThreshold:
    """From which probability on a class is said, and what that does on the labels it was chosen on.

    `threshold` is inside (0, 1), or None where nothing can be promised or reached, and `why` says what lacked;
    `certified` is None where no promise was asked for. `positives` of the images that count have the class,
    `negatives` have not. `precision` and `recall` are those at the threshold; that which a promise is about has no
    interval, since these labels chose the threshold, and the other is flattered a little for the same reason.
    `needed` images that have the class are what the promise takes at the very least.
    """

    name: str
    threshold: float | None
    certified: bool | None
    positives: int
    negatives: int
    precision: Share
    recall: Share
    needed: int
    why: str = ""


def answer_thresholds(
    probs: Probabilities,
    truth: NDArray[np.integer],
    wanted: Wanted,
    names: Sequence[str] | None = None,
    groups: NDArray[Any] | None = None,
) -> list[AnswerThreshold]:
    """Choose a threshold for each class; an image is said to have a class where its probability reaches it.

    Parameters
    ----------
    probs : (n, c) float32 or float64 in 0..1, of images that the classifier was not trained on.
    truth : (n, c) integers: 1 has the class, 0 has not, -1 nobody knows; such a row does not count for that class.
    names : of the c classes; their positions where nobody names them.
    groups : (n,) what images belong together; of each group one that is known counts, drawn by lot.

    Raises
    ------
    InputError : shapes that differ, or values out of range.

    Examples
    --------
    With 80 % confidence eight images of the class certify a recall of 80 % from the lowest on (0.8^8 = 0.17):

    >>> probs, truth = np.linspace(0.05, 0.8, 16)[:, None], np.repeat([0, 1], 8)[:, None]
    >>> (found,) = answer_thresholds(probs, truth, Wanted.of(recall=0.8, confidence=0.8), ["cat"])
    >>> round(found.threshold, 6), found.certified, found.recall.value, found.needed
    (0.45, True, 1.0, 8)

    """
    probs, truth = _checked(probs, truth)
    names = list(map(str, range(probs.shape[1]))) if names is None else names
    if len(names) != probs.shape[1]:
        raise InputError(f"{len(names)} class names for {probs.shape[1]} columns of probabilities; give one each")
    confidence = wanted.each(len(names))
    found = []
    for k, name in enumerate(names):
        rows = _counted(truth[:, k] != UNKNOWN_ANSWER, groups)
        found.append(_decided(name, probs[rows, k], truth[rows, k] == 1, wanted, confidence))
    return found


def class_against_rest(labels: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Return (n, c) 1 and 0 for one label an image; -1, of no known class, has none of the classes.

    >>> class_against_rest(np.array([1, -1]), 2).tolist()
    [[0, 1], [0, 0]]
    """
    return np.asarray(labels[:, None] == np.arange(classes), dtype=np.int64)


def _checked(probs: Any, truth: Any) -> tuple[Probabilities, NDArray[np.int64]]:
    p = np.asarray(probs)
    p = p if p.dtype == np.float32 else p.astype(np.float64)
    t = np.asarray(truth)
    if p.ndim != 2 or t.shape != p.shape:
        raise InputError(f"probs have shape {p.shape} and truth {t.shape}; both must be (images, classes)")
    if not np.isfinite(p).all() or (p < 0).any() or (p > 1).any():
        raise InputError("probs must be finite numbers in 0..1")
    if not np.isin(t, (1, 0, UNKNOWN_ANSWER)).all():
        odd = t[~np.isin(t, (1, 0, UNKNOWN_ANSWER))][0]
        raise InputError(f"truth holds {odd!r}; it must be 1 (has the class), 0 (has not) or -1 (unknown)")
    # A threshold lies below 1, and answers that are 1 by rounding must reach it.
    return np.minimum(p, np.nextafter(p.dtype.type(1), p.dtype.type(0))), t.astype(np.int64)


def _counted(known: NDArray[np.bool_], groups: NDArray[Any] | None) -> NDArray[np.int64]:
    """Return the positions of rows that count: known ones, of each group one by lot."""
    rows = np.flatnonzero(known)
    if groups is None:
        return rows
    rows = np.random.default_rng(_LOT).permutation(rows)
    return np.sort(rows[np.unique(np.asarray(groups)[rows], return_index=True)[1]])


def _decided(name: str, p: Probabilities, has: NDArray[np.bool_], wanted: Wanted, confidence: float) -> AnswerThreshold:
    positives, negatives = int(has.sum()), int((~has).sum())
    needed = _needed(wanted, confidence)
    lacking = _lacking(positives, negatives, needed, wanted, confidence)
    threshold = None
    if not lacking:
        choose = _for_precision if wanted.kind == "precision" else _for_recall
        threshold, lacking = choose(p, has, wanted.share, confidence)
    said = np.zeros(len(p), dtype=bool) if threshold is None else p >= threshold
    shares = {"precision": Share.of(has[said]), "recall": Share.of(said[has])}
    if confidence and threshold is not None:
        of = shares[wanted.kind]
        shares[wanted.kind] = Share(of.hits, of.rows, of.value, None, None)
    certified = None if not confidence else threshold is not None
    return AnswerThreshold(
        name=name,
        threshold=threshold,
        certified=certified,
        positives=positives,
        negatives=negatives,
        **shares,
        needed=needed,
        why=lacking,
    )


def _needed(wanted: Wanted, confidence: float) -> int:
    """Return how many images that have the class the question takes at the very least."""
    if not confidence:
        return 1
    sure = shares_of_confidence(confidence, range(STARTS)) if wanted.kind == "precision" else confidence
    return rows_needed(1 - wanted.share, sure)


def _lacking(positives: int, negatives: int, needed: int, wanted: Wanted, confidence: float) -> str:
    """Say which labels lack for any decision; "" where none do."""
    sure = f" at {100 * confidence:.4g} % confidence" if confidence else ""
    least = f"{percent(wanted.share)} {wanted.kind}{sure} takes {needed} or more images of it"
    if not positives:
        return f"no image of it among the labels; {least}"
    if not negatives:
        return f"every labelled image is of it, so nothing tells what a threshold would keep out; {least}, and others"
    if positives < needed:
        images = math.ceil(needed * (positives + negatives) / positives)
        return f"{least}, there are {positives}; at their share that is {images} labelled images"
    return ""


def _for_precision(
    p: Probabilities, has: NDArray[np.bool_], share: float, confidence: float
) -> tuple[float | None, str]:
    """Accept from the surest on. The lowest answer of all is the end of the line, and is spent for it: the threshold
    lies just above the highest one that is not accepted, and then what lies above are independent draws.
    """
    if not confidence:
        point = None if (curve := class_curve(has, p)) is None else curve.for_precision(share)
        if point is None:
            return None, f"no threshold reaches {percent(share)} on these labels"
        return float(point.threshold), ""
    kept = p > p.min()
    found = certify(1 - p[kept].astype(np.float64), ~has[kept], 1 - share, confidence, "several-starts")
    if found.accepted:
        return _above(np.sort(p)[::-1][found.accepted]), ""
    if not found.started:
        return None, f"{found.needed} answers that are no ties are needed, there are {int(kept.sum())}"
    more = _would_do(found.started, found.started_bad, 1 - share, confidence)
    hope = f"; about {more} answers like these would do" if more else ""
    return None, (
        f"of the {found.started} surest answers {number_of(found.started_bad, 'is', 'are')} false, too many to certify "
        f"{percent(share)}{hope}"
    )


def _for_recall(p: Probabilities, has: NDArray[np.bool_], share: float, confidence: float) -> tuple[float | None, str]:
    ordered = np.sort(p[has])
    missed = missable(len(ordered), share, confidence) - 1 if confidence else int((1 - share) * len(ordered) + 1e-9)
    lowest = float(ordered[missed])
    return (lowest, "") if lowest > 0 else (None, f"{percent(share)} recall takes answers of probability 0")


def _above(p: np.floating) -> float:
    """Return the next number of the same precision."""
    return just_above(p) if p.dtype == np.float32 else float(np.nextafter(p, 1.0))


def _would_do(rows: int, bad: int, target: float, confidence: float) -> int:
    """Return how many rows with the same share of bad ones certify the target; 0 where none would."""
    from scipy.special import bdtr

    if bad >= target * rows:
        return 0
    times = np.geomspace(1, 1000, 400)
    enough = bdtr(np.floor(bad * times), np.round(rows * times).astype(np.int64), target) <= 1 - confidence
    return math.ceil(rows * float(times[np.argmax(enough)])) if enough.any() else 0
