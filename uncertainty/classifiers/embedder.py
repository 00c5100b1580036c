"""The second opinion: an independent, frozen backbone that embeds the same decoded image its own way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.array_values import UNUSABLE, as_array, usable
from uncertainty.classifiers.attempts import attempted
from uncertainty.classifiers.preprocess import Preprocess

if TYPE_CHECKING:
    from uncertainty.classifiers.network import Network

_SHARED = 0.5
_UNUSABLE = f"the second opinion answers with values that are {UNUSABLE}"


@dataclass(frozen=True, eq=False)
class Embedder:
    """A network whose features are the embedding: the input of its last linear layer, or its output if it has none."""

    network: Network
    preprocess: Preprocess
    sha256: str
    spec: str | None

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embedding (b, e) of preprocessed images."""
        forward = self.network(inputs)
        return forward.logits if forward.features is None else forward.features

    def attempt(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[str | None]]:
        """Return the embedding (b, e), and why an image has none: its row is NaN, and the others don't suffer."""
        found = np.full((len(inputs), self.width), np.nan, dtype=np.float32)
        why: list[str | None] = [None] * len(inputs)
        for rows, answer in attempted(lambda rows: self(inputs[rows]), 0, len(inputs), "the second opinion"):
            if isinstance(answer, str):
                why[rows.start] = answer
            else:
                found[rows] = answer
        return found, [
            reason or (None if usable(row).all() else _UNUSABLE) for row, reason in zip(found, why, strict=True)
        ]

    @property
    def width(self) -> int:
        """Number of values e of an embedding."""
        layer = self.network.feature_layer
        return self.network.outputs if layer is None else layer.width

    def shares_weights_with(self, network: Network) -> bool:
        """Whether at least half of the embedder's weights are the other network's too: then it is no second opinion."""
        own, other = _digests(self.network.module.parameters()), _digests(network.module.parameters())
        return bool(own) and sum(n for d, n in own.items() if d in other) >= _SHARED * sum(own.values())


def _digests(parameters: Iterable[Any]) -> dict[bytes, int]:
    """Return the number of values behind each distinct tensor, by the hash of its content; constants don't count."""
    digests = {}
    for tensor in parameters:
        values = as_array("weights", tensor)
        if values.size > 1 and values.min() < values.max():
            digests[hashlib.blake2b(values.tobytes(), digest_size=16).digest()] = int(values.size)
    return digests
