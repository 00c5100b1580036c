"""Which answers of several labels an image are likely wrong: a label that was given, and one that was left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.labels.likely_errors import Floats, Seen, likely_errors


def likely_set_errors(
    truth: NDArray[np.int64], said: NDArray[np.bool_], p_wrong: Floats, alarm: bool | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (n, c) how probably each answer is wrong, and which answers to accuse.

    Every answer is judged as a label of two classes, there or not, by `likely_errors`; all labels together, so that
    how often people miss a label and how often they add one is learnt from all, also for a rare one.

    Parameters
    ----------
    truth : (n, c) 1 the label was given, 0 it was not, -1 nobody knows: NaN, and never accused.
    said : (n, c) what the classifier says.
    p_wrong : (n, c) how probably that is wrong.
    alarm : whether the images are not like calibration; None where nobody looked.

    Examples
    --------
    Twenty images are surely without the label, and one of them was given it; of the next nobody knows:

    >>> truth, said = np.array([[0]] * 19 + [[1], [-1]]), np.zeros((21, 1), dtype=bool)
    >>> wrong, accused = likely_set_errors(truth, said, np.full((21, 1), 0.01))
    >>> np.flatnonzero(accused).tolist(), bool(np.isnan(wrong[20, 0]))
    ([19], True)

    """
    p, sure = p_wrong.astype(np.float64).ravel(), said.astype(np.int64).ravel()
    probs = np.stack([np.where(sure == 1, p, 1 - p), np.where(sure == 1, 1 - p, p)], axis=1)
    wrong, _, accused = likely_errors(truth.ravel(), Seen(p, sure, probs), alarm)
    return wrong.reshape(truth.shape), (accused & (truth.ravel() >= 0)).reshape(truth.shape)
