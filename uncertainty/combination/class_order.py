"""Whether the class names stand in the order of the outputs: if not, calibration says that another order fits better.

Another order is found on one half of the rows and judged on the other, so that many classes with few images each do not
look as if they had changed places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import CalibrationError
from uncertainty.outputs import ModelOutputs

_FEWEST, _MOST_CLASSES = 20, 2_000
_MUCH, _ROWS = 0.2, 15  # what another order must gain before it is called better: a share, and so many rows
_MOSTLY, _RARE, _IMAGES = 0.5, 4, 5
_OWN = 0.5  # of a row: what a class's own output is ahead of others
_SHOWN, _LISTED = 5, 12


@dataclass(frozen=True)
class Order:
    """How right the classifier is as its classes are named, and how right with other names for its outputs.

    `names` (c,) are the positions of the better names, output by output; `sure` where nothing else can explain it.
    """

    now: float
    best: float
    guessing: float
    names: tuple[int, ...]
    sure: bool

    def in_words(self, classes: Sequence[str]) -> str:
        """Say what would be better: the whole order where it is short, else the names that move."""
        than = f", less than by always saying one class ({self.guessing:.0%})" if self.now < self.guessing else ""
        moved = [f"{classes[t]} in place of {classes[k]}" for k, t in enumerate(self.names) if k != t]
        more = f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
        which = f"with other names for the outputs ({', '.join(moved[:_SHOWN])}{more})"
        if self.sure and len(classes) <= _LISTED:
            which = f"with the class names in the order {', '.join(classes[t] for t in self.names)}"
        return f"right on {self.now:.0%} of calibration{than}; {which} it would be {self.best:.0%}"


def notes(outputs: ModelOutputs, classes: Sequence[str]) -> list[str]:
    """Return what there is to say of the order of the classes, most often nothing."""
    found = better_order(outputs)
    return [] if found is None else [f"{found.in_words(classes)}: {_ARE_THEY}?"]


def refuse_another_order(outputs: ModelOutputs, classes: Sequence[str], keep: bool = False) -> None:
    """Raise CalibrationError where another order is surely meant, but for one that is to be kept."""
    found = None if keep else better_order(outputs)
    if found is not None and found.sure:
        raise CalibrationError(
            f"{found.in_words(classes)}: {_ARE_THEY}? Give them so, or say --keep-class-order where they are"
        )


_ARE_THEY = "are the class names in the order of the model's outputs"


def better_order(outputs: ModelOutputs) -> Order | None:
    """Return a better order of the classes, None where the given one is as good, or too few rows could tell.

    So it is where fewer than 20 rows are known, and where more than 2,000 classes occur.

    >>> ids, said = [f"{i}.png" for i in range(30)], np.arange(30) % 3
    >>> better_order(ModelOutputs(ids=ids, logits=np.eye(3)[said], labels=(said + 1) % 3)).names
    (1, 2, 0)
    """
    if outputs.task == "multilabel" or outputs.labels is None:
        return None
    known = outputs.labels >= 0
    truth, said = outputs.labels[known], outputs.predictions[known]
    there = np.unique([truth, said])
    if len(truth) < _FEWEST or len(there) > _MOST_CLASSES:
        return None
    truth, said = np.searchsorted(there, truth), np.searchsorted(there, said)
    own, names = np.arange(len(there)), _assigned(said, truth, len(there))
    if (names == own).all():
        return None
    now, honest = float((said == truth).mean()), _honest(said, truth, len(there))
    guessing = float(np.bincount(truth).max() / len(truth))
    gained = honest - now
    sure = gained >= max(now, _MUCH) and gained * len(truth) >= _ROWS and honest > guessing
    if not sure:
        moved = _in_sure_cycles(said, truth, names)
        sure, names = bool(moved.any()), np.where(moved, names, own) if moved.any() else names
    if not sure and (gained < _MUCH or honest < guessing):
        return None
    order = np.arange(outputs.n_classes)
    order[there] = there[names]
    return Order(now, float((names[said] == truth).mean()), guessing, tuple(order.tolist()), sure)


def _assigned(said: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return for each output the class that it is best called, each once; its own where nothing else is better."""
    from scipy.optimize import linear_sum_assignment

    counts = _counts(said, truth, classes)
    return np.asarray(linear_sum_assignment(counts + _OWN * np.eye(classes), maximize=True)[1], dtype=np.int64)


def _counts(said: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    counts = np.zeros((classes, classes))
    np.add.at(counts, (said, truth), 1)
    return counts


def _honest(said: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> float:
    """Return how right the names that one half of each class suggests are on the other half."""
    half = np.empty(len(truth), dtype=bool)
    half[np.argsort(truth, kind="stable")] = np.arange(len(truth)) % 2 == 0
    right = 0
    for learn in (half, ~half):
        names = _assigned(said[learn], truth[learn], classes)
        right += int((names[said[~learn]] == truth[~learn]).sum())
    return right / len(truth)


def _in_sure_cycles(said: NDArray[np.int64], truth: NDArray[np.int64], names: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (c,) True for outputs that change names in a circle which confusion alone can't explain.

    Each of its classes has five images at least, most of which are called as the one output, of which the images that
    it is named after are rarely called so.
    """
    counts = _counts(said, truth, len(names))
    outputs = np.arange(len(names))
    images, as_named, as_own = counts.sum(axis=0)[names], counts[outputs, names], counts.diagonal()
    sure = (names != outputs) & (images >= _IMAGES) & (as_named >= _MOSTLY * images) & (as_named >= _RARE * as_own)
    kept = sure
    for _ in outputs:
        if (kept[names] | ~kept).all():
            break
        kept = kept & kept[names]
    return np.asarray(kept)
