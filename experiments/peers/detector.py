"""What a detector of another project is here: fitted on known rows, it scores others, higher = more likely wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared.last_layer import LastLayer
from uncertainty import ModelOutputs

Score = Callable[[ModelOutputs], NDArray[np.float64]]
"""(n,) one number a row, higher = more likely wrong."""

REFERENCE, CALIBRATION, LAST_LAYER = "reference", "calibration", "last layer"
"""What a detector may need besides columns of the outputs."""


@dataclass(frozen=True, eq=False)
class Known:
    """What detectors are fitted on: known-good reference rows and calibration rows, all labelled; the last layer."""

    reference: ModelOutputs
    calibration: ModelOutputs
    last_layer: LastLayer


@dataclass(frozen=True, eq=False)
class Detector:
    """A score of another project.

    `needs` names the columns that it reads, and REFERENCE, CALIBRATION or LAST_LAYER where it is fitted on them.
    """

    project: str
    name: str
    needs: tuple[str, ...]
    fit: Callable[[Known], Score]

    @property
    def key(self) -> str:
        """Name in the results."""
        return f"{self.project} {self.name}"


def tensor(array: Any) -> Any:
    """Copy an array to a torch tensor: float32, or int64 for integers."""
    import torch

    values = np.asarray(array)
    return torch.tensor(values, dtype=torch.int64 if values.dtype.kind == "i" else torch.float32)


def linear(last_layer: LastLayer) -> Any:
    """Return the last layer as a torch module, in evaluation mode."""
    import torch

    classes, dimensions = last_layer.weight.shape
    module = torch.nn.Linear(dimensions, classes)
    with torch.no_grad():
        module.weight.copy_(tensor(last_layer.weight))
        module.bias.copy_(tensor(last_layer.bias))
    return module.eval().requires_grad_(False)


def numbers(scores: Any) -> NDArray[np.float64]:
    """Copy a tensor or an array of scores."""
    values = scores.detach().numpy() if hasattr(scores, "detach") else scores
    return np.array(values, dtype=np.float64)
