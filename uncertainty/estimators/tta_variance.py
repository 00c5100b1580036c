"""Variance of the predicted class over augmented views of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._views import predicted_class_probs
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class TTAVariance(Estimator):
    """Variance, over views of the image, of the probability of the class that is predicted for the plain one.

    Formula: mean_v (p_v,ŷ - p̄_ŷ)² over v augmented views and the plain image. Multilabel: max over labels of
    the variance of the probability of the plain decision.
    Range: [0, 1/4].
    Needs: tta_probs and logits.
    Fit keeps: nothing.
    Cost: v passes of the network; O(n v c).
    Source: Ayhan & Berens 2018, "Test-time data augmentation for estimation of heteroscedastic aleatoric uncertainty".

    Examples
    --------
    Class 1 has 3/4, 1/2 and 1/4, a quarter apart: (1/16 + 0 + 1/16) / 3 = 0.0417.

    >>> views = [[[0.5, 0.5], [0.75, 0.25]]]
    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]], tta_probs=views)
    >>> TTAVariance().score(outputs).round(4).tolist()
    [0.0417]

    """

    needs = ("tta_probs", "logits")
    bounds = (0.0, 0.25)
    scale = "log"
    family = "views"
    reason = "unstable_under_augmentation"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        variances = predicted_class_probs(outputs).var(axis=1)
        return np.asarray(variances.max(axis=1) if outputs.task == "multilabel" else variances).clip(0, 0.25)
