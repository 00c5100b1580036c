"""The second opinion: an independent, frozen backbone that embeds the same decoded image its own way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.preprocess import Preprocess

if TYPE_CHECKING:
    from uncertainty.classifiers.network import Network

_SHARED = 0.5
_NOT_FINITE = "the second opinion answers with values that are NaN or infinite"


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
        rows = self._rows(inputs)
        found = np.full((len(rows), max(row.size for row, _ in rows)), np.nan, dtype=np.float32)
        for k, (row, _) in enumerate(rows):
            found[k] = row
        return found, [why or (None if np.isfinite(row).all() else _NOT_FINITE) for row, why in rows]

    def _rows(self, inputs: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], str | None]]:
        """Embed all at once or, where that fails, one after the other; a failure is a NaN and told in words."""
        try:
            return [(row, None) for row in self(inputs)]
        except Exception as error:  # the user's code: anything may be raised
            if len(inputs) == 1:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                return [(np.full(1, np.nan, dtype=np.float32), f"the second opinion fails on it: {reason}")]
        return [row for k in range(len(inputs)) for row in self._rows(inputs[k : k + 1])]

    def shares_weights_with(self, network: Network) -> bool:
        """Whether at least half of the embedder's weights are the other network's too: then it is no second opinion."""
        own, other = _digests(self.network.module.parameters()), _digests(network.module.parameters())
        return bool(own) and sum(n for d, n in own.items() if d in other) >= _SHARED * sum(own.values())


def _digests(parameters: Iterable[Any]) -> dict[bytes, int]:
    """Return the number of values behind each distinct tensor, by the hash of its content; constants don't count."""
    digests = {}
    for tensor in parameters:
        values = tensor.detach().cpu().numpy()
        if values.size > 1 and values.min() < values.max():
            digests[hashlib.blake2b(values.tobytes(), digest_size=16).digest()] = int(values.size)
    return digests
