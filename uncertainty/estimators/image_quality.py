"""Image quality: how unusual the image file itself is among known-good images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError, NotFittedError, OutputsError
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

# What a value below and above the known-good ones is called, in the order of the first columns of `quality`.
REASONS = {
    "brightness": ("dark", "light"),
    "darkness": ("light", "dark"),
    "contrast": ("low_contrast", "high_contrast"),
    "blur": ("noisy", "blurry"),
    "saturation": ("grayscale", "oversaturated"),
    "entropy": ("low_information", "noisy"),
    "size": ("odd_size", "odd_size"),
    "aspect": ("odd_aspect_ratio", "odd_aspect_ratio"),
}
_LARGEST = 10.0
_TAIL = 0.05
_SIGMAS_TO_TAIL = 1.6449  # of a normal distribution, from its median to its 5 % and 95 % quantiles


class ImageQuality(Estimator):
    """How far an image's brightness, blur, size and so on lie from those of known-good images.

    Formula: sqrt(mean_j min(|x_j - m_j| / s_j, 10)²) over the 8 statistics. m_j is the known-good median; s_j is its
    distance to the 5 % quantile (95 % for a value above it) over 1.6449: the standard deviation, were the statistic
    normal. s_j is at least a tenth of the mean of both sides, and at least 0.01 max(1, |m_j|), so a statistic that all
    known-good images share counts as soon as it differs. Multilabel: the same.
    Range: [0, 10].
    Needs: quality; reference rows with quality.
    Fit keeps: `median_`, `below_` and `above_` (8,): m_j and s_j on either side.
    Cost: O(n), no pass of the network.
    Source: robust z-scores as in Iglewicz & Hoaglin 1993, "How to Detect and Handle Outliers", with quantiles on each
    side in place of the median deviation; the reasons are named as in CleanVision 2023.

    Examples
    --------
    All known-good images are alike but for a brightness of 0.4, 0.5 and 0.6 (quantiles 0.41 and 0.59, s = 0.0547). One
    of brightness 0.39 is 0.11 / 0.0547 = 2.01 s too dark: sqrt(2.01² / 8) = 0.711.

    >>> def images(*brightness):
    ...     quality = [[b, 0.5, 0.2, 0.1, 0.3, 7.0, 16.0, 0.0] for b in brightness]
    ...     return ModelOutputs(ids=[str(b) for b in brightness], logits=[[0.0, 0.0]] * len(quality), quality=quality)
    >>> estimator = ImageQuality().fit(images(0.4, 0.5, 0.6))
    >>> estimator.score(images(0.39)).round(3).tolist(), estimator.reasons(images(0.39)).tolist()
    ([0.711], ['dark'])

    """

    needs = ("quality",)
    fit_needs = ("quality",)
    bounds = (0.0, _LARGEST)
    scale = "log"
    reason = "unusual_image"
    family = "image"

    def _fit(self, reference: ModelOutputs) -> None:
        if len(reference) == 0:
            raise InputError(f"{self.name} needs at least one known-good row; the reference has none")
        low, median, high = np.quantile(_statistics(reference), (_TAIL, 0.5, 1 - _TAIL), axis=0)
        least = np.maximum(0.1 * (high - low) / (2 * _SIGMAS_TO_TAIL), 0.01 * np.maximum(1, np.abs(median)))
        self.median_ = median
        self.below_ = np.maximum((median - low) / _SIGMAS_TO_TAIL, least)
        self.above_ = np.maximum((high - median) / _SIGMAS_TO_TAIL, least)

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(np.square(self._deviations(outputs)).mean(axis=1)))

    def reasons(self, outputs: ModelOutputs) -> NDArray[np.str_]:
        """Return (n,) strings: a word for the statistic that stands out most, e.g. "dark" or "blurry"."""
        if not self.learnt():
            raise NotFittedError(f"{self.name} is not fitted; call fit(reference) with known-good rows first")
        deviations = self._deviations(outputs)
        most = np.abs(deviations).argmax(axis=1)
        above = np.take_along_axis(deviations, most[:, None], axis=1)[:, 0] > 0
        return np.asarray(np.array(list(REASONS.values()))[most, above.astype(np.int64)])

    def _deviations(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        difference = _statistics(outputs) - self.median_
        return np.asarray((difference / np.where(difference < 0, self.below_, self.above_)).clip(-_LARGEST, _LARGEST))


def usual_quality(estimators: Sequence[Estimator]) -> dict[str, list[float]]:
    """Return, for each statistic, the ends of what nine in ten known-good images have; {} without ImageQuality."""
    fitted = next((e for e in estimators if isinstance(e, ImageQuality)), None)
    if fitted is None:
        return {}
    low = fitted.median_ - _SIGMAS_TO_TAIL * fitted.below_
    high = fitted.median_ + _SIGMAS_TO_TAIL * fitted.above_
    return {name: [float(low[j]), float(high[j])] for j, name in enumerate(REASONS)}


def _statistics(outputs: ModelOutputs) -> NDArray[np.float64]:
    quality = outputs.require("quality", "image_quality").astype(np.float64)
    if quality.shape[1] < len(REASONS):
        raise OutputsError(f"quality has {quality.shape[1]} columns; image_quality reads {', '.join(REASONS)}")
    return quality[:, : len(REASONS)]
