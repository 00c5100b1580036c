"""What one batch gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.array_values import frozen, usable


@dataclass(frozen=True, eq=False)
class Forward:
    """What one batch gave: logits (b, c); the rest if there are any.

    features (b, d), mc_logits (b, t, c) of dropout sub-networks, embedding (b, e), tta_logits (b, v, c) of views.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None
    mc_logits: NDArray[np.float32] | None
    embedding: NDArray[np.float32] | None = None
    tta_logits: NDArray[np.float32] | None = None

    def usable_rows(self) -> NDArray[np.bool_]:
        """(b,) False where any value of the row is NaN, infinite or too large to compute with."""
        fine = [usable(a.reshape(len(a), -1)).all(axis=1) for a in self._arrays().values()]
        return np.asarray(np.logical_and.reduce(fine))

    def take(self, rows: NDArray[Any] | slice) -> Forward:
        """Return the rows of a mask, or at these positions."""
        return replace(self, **{name: frozen(array[rows]) for name, array in self._arrays().items()})

    @classmethod
    def joined(cls, parts: Sequence[Forward]) -> Forward:
        """Join parts, which have the same columns, row-wise."""
        names = parts[0]._arrays()
        joined = {name: frozen(np.concatenate([getattr(part, name) for part in parts])) for name in names}
        return replace(parts[0], **joined) if len(parts) > 1 else parts[0]

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {name: array for name, array in vars(self).items() if array is not None}
