"""Calibration rows of several labels, decision by decision: what flags on single decisions are decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

ARRAYS = ("held_out.decisions", "held_out.decisions_wrong", "held_out.decisions_said")


@dataclass(frozen=True, eq=False)
class DecisionRows:
    """Decisions of the n calibration rows that `HeldOut` keeps, in its order.

    Parameters
    ----------
    p_wrong : (n, c) float32, from what did not learn from the row.
    wrong : (n, c) int8: 1 wrong, 0 right, -1 nobody knows.
    said : (n, c) whether the classifier says that the label is there.

    """

    p_wrong: NDArray[np.float32]
    wrong: NDArray[np.int8]
    said: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.p_wrong)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n, c) decisions whose answer is known."""
        return np.asarray(self.wrong >= 0)

    @property
    def partly(self) -> NDArray[np.bool_] | None:
        """(n,) rows of which some answer is unknown; None where none is."""
        return None if self.known.all() else np.asarray(~self.known.all(axis=1))

    def take(self, rows: NDArray[np.bool_]) -> DecisionRows:
        """Return the rows of a mask."""
        return DecisionRows(self.p_wrong[rows], self.wrong[rows], self.said[rows])

    def joined(self, more: DecisionRows) -> DecisionRows:
        """Return these rows and others behind them."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return DecisionRows(*(np.concatenate(pair) for pair in pairs))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays by name."""
        return dict(zip(ARRAYS, (self.p_wrong, self.wrong, self.said), strict=True))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """Undo `arrays`; None where there are none."""
        return cls(*(arrays[name] for name in ARRAYS)) if ARRAYS[0] in arrays else None
