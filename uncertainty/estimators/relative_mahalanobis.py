"""Relative Mahalanobis distance: further from every class than from images in general?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._covariance import class_means, shrunk_covariance, whitening
from uncertainty.estimators._features import features_like
from uncertainty.estimators._known_good import known_classes
from uncertainty.estimators.base import Estimator
from uncertainty.neighbors import normalised
from uncertainty.outputs import ModelOutputs


class RelativeMahalanobis(Estimator):
    """Mahalanobis distance to the nearest class, less the distance to all known-good images as one cloud.

    Formula: min_c d_c - d_0 of f/‖f‖, d_c = (f - μ_c)ᵀ Σ⁻¹ (f - μ_c) with the covariance Σ within classes, which they
    share, shrunk by Ledoit & Wolf's rule, and d_0 the same with the mean of all rows and Σ plus the covariance of the
    class means. What makes an image unusual for every class alike cancels. Multilabel: none.
    Range: (-inf, inf), negative = closer to a class than to the whole.
    Needs: features; reference rows with features, of two classes at least (class = label, or else prediction).
    Fit keeps: `mean_` (d,), `class_means_` (c', d) whitened, `within_` and `overall_` (d, d), the whitening matrices.
    Cost: fit O(m d² + d³), score O(n d (d + c')), all as matrix products; 16 d² bytes.
    Source: Ren et al. 2021, "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection"; features of
    length 1 by Müller & Hein 2025, "Mahalanobis++".

    Examples
    --------
    At length 1 the classes have means (0.8, 0) and (0, -0.8), and Σ = 0.18 I; all rows have mean (0.4, -0.4), variance
    0.18 + 0.32 along (1, 1) and 0.18 along (1, -1). So (1, 0) gives 0.04 / 0.18 - (0.5 / 0.5 + 0.02 / 0.18) = -0.8889.
    (1, -1) lies on the border: 0.32 / 0.18 = 1.7778, what it is off the border's middle being the same for both.

    >>> rows = [[4.0, 3.0], [4.0, -3.0], [3.0, -4.0], [-3.0, -4.0]]
    >>> known = ModelOutputs(ids=list("abcd"), logits=[[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 2, features=rows)
    >>> new = ModelOutputs(ids=["e", "f"], logits=[[1.0, 0.0]] * 2, features=[[1.0, 0.0], [1.0, -1.0]])
    >>> RelativeMahalanobis().fit(known).score(new).round(4).tolist()
    [-0.8889, 1.7778]

    """

    needs = ("features",)
    fit_needs = ("features",)
    bounds = (-np.inf, np.inf)
    tasks = ("multiclass",)
    family = "neighbours"
    reason = "far_from_known_good"
    default = False

    def _fit(self, reference: ModelOutputs) -> None:
        known, positions = np.unique(known_classes(reference), return_inverse=True)
        if len(known) < 2:
            raise InputError(f"{self.name} needs known-good rows of two classes at least; they are of {len(known)}")
        x = normalised(reference.features).astype(np.float64)
        means = class_means(x, positions)
        self.mean_ = x.mean(axis=0)
        within, between = shrunk_covariance(x - means[positions]), means[positions] - self.mean_
        self.within_ = whitening(within)
        # Not shrunk on its own: with two different shrinkages nothing cancels, and far images score as safe.
        self.overall_ = whitening(within + between.T @ between / len(x))
        self.class_means_ = (means - self.mean_) @ self.within_

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        x = normalised(features_like(outputs, len(self.mean_))) - self.mean_
        own, means = x @ self.within_, self.class_means_
        to_classes = np.square(means).sum(axis=1) - 2 * own @ means.T
        nearest = np.square(own).sum(axis=1) + to_classes.min(axis=1)
        return np.asarray(nearest - np.square(x @ self.overall_).sum(axis=1))
