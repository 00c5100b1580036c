"""The images among which a strategy chooses, as one value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError

Floats = NDArray[np.floating]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What strategies know of m images.

    Parameters
    ----------
    p_wrong : (m,) in [0, 1].
    features : (m, d) rows of length 1; None: not known, which strategies that read p_wrong alone bear.
    probs : (m, K), for `badge`.
    labelled_features : (l, d), what has labels already, for strategies that keep away from it.
    seed : of those that draw.

    """

    p_wrong: Floats
    features: Floats | None = None
    probs: Floats | None = None
    labelled_features: Floats | None = None
    seed: int = 0

    def __len__(self) -> int:
        return len(self.p_wrong)

    def many(self, n: int) -> int:
        """Return n, or how many candidates there are if that is fewer; raises InputError below 1."""
        if n < 1:
            raise InputError(f"{n} images were asked for; ask for at least one")
        return min(n, len(self))

    @property
    def suspicious(self) -> Positions:
        """(m,) all positions, the largest p_wrong first, ties in their order.

        >>> Candidates(np.array([0.2, 0.9, 0.2])).suspicious.tolist()
        [1, 0, 2]
        """
        return np.argsort(-np.asarray(self.p_wrong), kind="stable")

    def vectors(self, rows: Positions | slice = slice(None)) -> NDArray[np.float32]:
        """(k, d) features of some rows, of all unless said; raises InputError where they are not known."""
        if self.features is None:
            raise InputError("features are needed and not known; give features (m, d), or choose by p_wrong alone")
        return np.asarray(self.features[rows], dtype=np.float32)

    @property
    def labelled(self) -> NDArray[np.float32]:
        """(l, d) features of what has labels already, no rows where nothing is known to."""
        known = np.empty((0, 0)) if self.labelled_features is None else self.labelled_features
        return np.asarray(known, dtype=np.float32)
