"""Several labels an image: its decisions (has it this label?) as rows, each with a p_wrong of its own.

What `decide.py` decides on images it decides on decisions as well. Those of one image are not independent of each
other, so a promise for all of them counts one decision of each image, drawn by lot, and a promise for each label all
images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Signals
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.errors import CalibrationError


def as_rows(
    rows: HeldOut, p_wrong: NDArray[np.floating], wrong: NDArray[np.bool_], known: NDArray[np.bool_]
) -> HeldOut:
    """Return a row for each decision that somebody knows the answer of, label by label within an image.

    Parameters
    ----------
    rows : the n images.
    p_wrong : (n, c), of each decision, from a combiner that did not learn from the image.
    wrong, known : (n, c) whether the decision is wrong, and whether that is known.

    Examples
    --------
    >>> no, zero = np.zeros(2, dtype=bool), np.zeros(2, dtype=np.int64)
    >>> signals = Signals(np.zeros((2, 0)), np.zeros((2, 0)), zero - 1)
    >>> images = HeldOut(np.array([0.5, 0.75]), np.ones(2), no, zero, np.arange(2), no, signals)
    >>> known = np.array([[True, True], [False, True]])
    >>> found = as_rows(images, np.array([[0.5, 0.25], [0.5, 0.75]]), ~known, known)
    >>> found.p_wrong.tolist(), found.predicted.tolist(), found.clusters.tolist()
    ([0.5, 0.25, 0.75], [0, 1, 1], [0, 0, 1])
    """
    image, label = np.nonzero(known)
    if not len(image):
        raise CalibrationError("not one decision of the calibration images is known; decisions can't be judged by them")
    of_image = rows.groups if rows.clusters is None else rows.clusters
    nothing = np.zeros((len(image), 0))
    return HeldOut(
        p_wrong=p_wrong[image, label].astype(np.float32),
        weights=rows.weights[image],
        wrong=wrong[image, label],
        condition=rows.condition[image],
        groups=rows.groups[image],
        certifying=rows.certifying[image],
        signals=Signals(nothing, nothing, label.astype(np.int64)),
        chosen=None if rows.chosen is None else rows.chosen[image],
        clusters=of_image[image],
    )


def flags_of_decisions(decision: Decision, p_wrong: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return (n, c) which decisions are flagged by a policy on decisions; an image is where one of its decisions is.

    >>> from uncertainty.decisions.decide import Line
    >>> from uncertainty.decisions.policies import Policy
    >>> lines = (Line(0.5, 9, classes=(0,)), Line(0.25, 9, classes=(1,)))
    >>> decided = Decision(Policy.of(budget=0.5, per_class=True, per_decision=True), lines)
    >>> flags_of_decisions(decided, np.array([[0.5, 0.125], [0.25, 0.25]])).tolist()
    [[True, False], [False, True]]
    """
    thresholds = decision.thresholds(np.arange(p_wrong.shape[1]))
    return np.asarray(p_wrong.astype(np.float32) >= thresholds)


def flagged_labels(flags: NDArray[np.bool_], classes: NDArray[np.str_] | list[str] | tuple[str, ...]) -> list[str]:
    """Return for each image the labels whose decision is flagged, joined by semicolons.

    >>> flagged_labels(np.array([[True, True], [False, False]]), ["cat", "dog"])
    ['cat;dog', '']
    """
    names = np.asarray(classes, dtype=object)
    return [";".join(names[row]) for row in flags]
