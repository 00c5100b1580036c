"""Share of augmented views for which the classifier decides otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class TTADisagreement(Estimator):
    """Share of the views of an image for which the classifier predicts another class than for the image itself.

    Formula: mean_v [argmax p_v ≠ ŷ] over the v augmented views. Multilabel: max over labels of the share of views
    that decide otherwise about the label.
    Range: [0, 1].
    Needs: tta_probs and logits.
    Fit keeps: nothing.
    Cost: v passes of the network; O(n v c).
    Source: Freeman 1965, the variation ratio, over views as in Wang et al. 2019.

    Examples
    --------
    One view ties (the first class wins a tie) and one says class 0: both differ from class 1.

    >>> views = [[[0.5, 0.5], [0.75, 0.25]]]
    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]], tta_probs=views)
    >>> TTADisagreement().score(outputs).round(4).tolist()
    [1.0]

    """

    needs = ("tta_probs", "logits")
    bounds = (0.0, 1.0)
    scale = "plain"
    family = "views"
    reason = "unstable_under_augmentation"

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        if outputs.task == "multilabel":
            decided = outputs.tta_probs >= outputs.decision_thresholds
            return np.asarray((decided != outputs.predictions[:, None]).mean(axis=1).max(axis=1))
        return np.asarray((outputs.tta_probs.argmax(axis=2) != outputs.predictions[:, None]).mean(axis=1))
