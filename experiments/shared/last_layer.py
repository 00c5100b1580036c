"""The classifier's last layer as plain arrays, for scores that read its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty import ModelOutputs

if TYPE_CHECKING:
    from uncertainty.classifiers.network import Network


@dataclass(frozen=True, eq=False)
class LastLayer:
    """logits = features @ weight.T + bias, with weight (c, d) and bias (c,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def of(cls, network: Network) -> LastLayer:
        """Copy the layer that the network's features go into."""
        layer = network.feature_layer.linear if network.feature_layer else None
        if layer is None:
            raise ValueError("the logits of this network don't come from a linear layer")
        weight = layer.weight.detach().numpy().copy()
        bias = layer.bias
        return cls(weight, np.zeros(len(weight), np.float32) if bias is None else bias.detach().numpy().copy())

    def fits(self, outputs: ModelOutputs) -> bool:
        """Whether these outputs came out of this layer."""
        features = outputs.require("features", "the last layer")
        return bool(np.allclose(features @ self.weight.T + self.bias, outputs.logits, rtol=1e-3, atol=1e-3))
