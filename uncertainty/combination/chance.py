"""A classifier that knows no more of its images than a guess: nothing can be learnt from its errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import CalibrationError
from uncertainty.metrics.intervals import exact_share
from uncertainty.outputs import ModelOutputs

_LEVEL = 0.99
_KAPPA = 0.1
"""A classifier is refused where chance is not left by so much even at the upper end of the interval."""
_ONE_CLASS = 0.9
_OTHERS = 0.05  # of the images, that must be of other classes than the most frequent one
_OTHER_NAMES = 0.2
_NO_ACCIDENT = 100  # numbers that all lie between 0 and 1


def refuse_chance(calibration: ModelOutputs) -> None:
    """Raise CalibrationError where predictions agree with labels as guesses would that say each class as often.

    Guesses agree on p = Σ_k P(predicted k) P(label k) of the images; the classifier on a share whose upper limit is h
    (99 %, Clopper-Pearson). Refused where (h - p) / (1 - p), Cohen's kappa at that limit, is below 0.1: of few images
    nobody is. Nothing is said where nearly all are of one class, or nearly all are called and are so: kappa is 0 there
    however much the classifier sees. Nor where other names for the outputs would make a fifth of the images right:
    what it sees is then well, and the names are to be put right. Of several labels only
    logits that all lie between 0 and 1 are refused: a sigmoid gave them, and would be squeezed once more.

    >>> said = np.eye(2)[[0, 1] * 500]
    >>> refuse_chance(ModelOutputs(ids=range(1000), logits=said, labels=[0, 0, 1, 1] * 250))
    Traceback (most recent call last):
    uncertainty.errors.CalibrationError: the classifier is right on 50.0% of 1000 calibration images, a guess on \
50.0%: its inputs are not those it was trained on, or its outputs are not those classes; check weights, size, mean, \
std, crop_pct and resize of the model, and that the class names are in the order of its outputs
    """
    labels = calibration.require("labels", "calibration")
    if calibration.task == "multilabel":
        _refuse_squeezed(calibration)
        return
    known = labels >= 0
    said, truth = calibration.predictions[known], labels[known]
    n, right = len(truth), int((said == truth).sum())
    counts = np.zeros((calibration.n_classes,) * 2)
    np.add.at(counts, (said, truth), 1)
    chance = float(counts.sum(axis=1) @ counts.sum(axis=0)) / max(n, 1) ** 2
    others = 1 - counts.sum(axis=0).max() / max(n, 1)
    low = exact_share(right, n, _LEVEL)[1] - chance < _KAPPA * (1 - chance)
    if low and others >= _OTHERS and 0 < chance < _ONE_CLASS and _best_named(counts) - right / n < _OTHER_NAMES:
        raise CalibrationError(
            f"the classifier is right on {right / n:.1%} of {n} calibration images, a guess on {chance:.1%}: "
            "its inputs are not those it was trained on, or its outputs are not those classes; check weights, size, "
            "mean, std, crop_pct and resize of the model, and that the class names are in the order of its outputs"
        )


def _refuse_squeezed(calibration: ModelOutputs) -> None:
    logits = calibration.logits
    if logits.size >= _NO_ACCIDENT and 0 <= logits.min() < logits.max() <= 1:
        raise CalibrationError(
            f"the outputs of all {len(logits)} calibration images lie between 0 and 1, so these look like "
            "probabilities, where logits belong; say output=probabilities in the model spec, or leave the last "
            "sigmoid out of the network"
        )


def _best_named(counts: NDArray[np.float64]) -> float:
    """Return the share that would be right by the best names for the outputs, of counts (said, truth)."""
    from scipy.optimize import linear_sum_assignment

    return float(counts[linear_sum_assignment(-counts)].sum() / counts.sum())
