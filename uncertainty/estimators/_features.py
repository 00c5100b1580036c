"""Features as matrices to compute with, checked against those that an estimator was fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import OutputsError
from uncertainty.outputs import ModelOutputs


def features_like(outputs: ModelOutputs, dimensions: int, column: str = "features") -> NDArray[np.float64]:
    """Return the features or the embedding (n, d) as float64; OutputsError where d is not that of the known-good ones.

    >>> features_like(ModelOutputs(ids=["a"], logits=[[1.0, 0.0]], features=[[3.0, 4.0]]), 2).tolist()
    [[3.0, 4.0]]
    """
    x = np.asarray(getattr(outputs, column), dtype=np.float64)
    if x.shape[1] != dimensions:
        raise OutputsError(
            f"{column} have {x.shape[1]} columns and the known-good ones {dimensions}; "
            f"they must come from the same layer of the same model"
        )
    return x
