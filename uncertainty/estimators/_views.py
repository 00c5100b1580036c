"""What the augmented views say of the plain prediction: shared by the estimators that read `tta_probs`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.outputs import ModelOutputs


def predicted_class_probs(outputs: ModelOutputs) -> NDArray[np.float64]:
    """Return the probability that each view, and last the plain image, gives to the plain prediction.

    Multiclass (n, v + 1). Multilabel (n, v + 1, c): the probability of each plain decision.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[0.0, np.log(3.0)]], tta_probs=[[[0.5, 0.5]]])
    >>> predicted_class_probs(outputs).round(4).tolist()
    [[0.5, 0.75]]
    """
    views = np.concatenate([outputs.tta_probs, outputs.probs[:, None]], axis=1).astype(np.float64)
    if outputs.task == "multilabel":
        return np.asarray(np.where(outputs.predictions[:, None] == 1, views, 1 - views))
    return np.asarray(views[np.arange(len(outputs)), :, outputs.predictions])
