"""Features as matrices to compute with, checked against those that an estimator was fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import OutputsError
from uncertainty.outputs import ModelOutputs


def features_like(outputs: ModelOutputs, dimensions: int) -> NDArray[np.float64]:
    """Return the features (n, d) as float64; raises OutputsError where d is not that of the known-good features.

    >>> features_like(ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]]), 2).tolist()
    [[3.0, 4.0]]
    """
    x = np.asarray(outputs.features, dtype=np.float64)
    if x.shape[1] != dimensions:
        raise OutputsError(
            f"features have {x.shape[1]} columns and the known-good ones {dimensions}; "
            f"they must come from the same layer of the same model"
        )
    return x
