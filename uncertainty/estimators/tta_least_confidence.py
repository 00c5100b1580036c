"""Doubt of the classifier, averaged over augmented views of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._views import predicted_class_probs
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class TTALeastConfidence(Estimator):
    """Probability that the prediction is wrong, by the classifier's own account, averaged over views of the image.

    Formula: 1 - mean_v p_v,ŷ over v augmented views and the plain image, ŷ predicted for the plain image. Multilabel:
    max over labels of one minus the mean probability of the plain decision.
    Range: [0, 1].
    Needs: tta_probs and logits.
    Fit keeps: nothing.
    Cost: v passes of the network; O(n v c).
    Source: Wang et al. 2019, "Aleatoric uncertainty estimation with test-time augmentation".

    Examples
    --------
    Class 1 has 3/4 on the plain image, 1/2 and 1/4 on the views: 1 - (3/4 + 1/2 + 1/4) / 3 = 1/2.

    >>> views = [[[0.5, 0.5], [0.75, 0.25]]]
    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]], tta_probs=views)
    >>> TTALeastConfidence().score(outputs).round(4).tolist()
    [0.5]

    """

    needs = ("tta_probs", "logits")
    bounds = (0.0, 1.0)
    scale = "logit"
    family = "views"
    reason = "unstable_under_augmentation"
    start = 0.25

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        means = predicted_class_probs(outputs).mean(axis=1)
        return np.asarray(1 - (means.min(axis=1) if outputs.task == "multilabel" else means)).clip(0, 1)
