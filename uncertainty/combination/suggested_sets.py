"""From p_wrong of single decisions to another set of labels that is likelier, and how probable it is as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats, expit, logit
from uncertainty.combination.platt_scaling import PlattScaling
from uncertainty.errors import ArtifactError

_RIDGE = 5.0


@dataclass(frozen=True)
class SuggestedSets:
    """How probable it is that a suggested set of labels is right.

    An answer is turned where it is likelier wrong than right, p_wrong_c > 1/2. With q_c = max(p_wrong_c, 1 - p_wrong_c)
    the set is right with

        logit P = intercept + slope · logit Π_c q_c,    P <= min_c q_c.

    The product alone is of decisions that are independent, and they go together: who misses one label often misses
    another. Both numbers are learnt from calibration images that a set was suggested for, each judged without its own
    labels, and drawn towards 0 and 1, the product as it is; a set is never surer than its least sure answer.
    """

    intercept: float = 0.0
    slope: float = 1.0

    @classmethod
    def fit(cls, p_wrong: NDArray[np.floating], wrong: NDArray[np.int8], weights: NDArray[np.floating]) -> Self:
        """Learn from rows (n, c): what was said of each decision by what did not learn from it, and 1 wrong, 0 right.

        Unknown answers, -1, are left out of the set that is judged; weights (n,) are what a row counts. Minimises
        log loss + 5/2 (intercept² + (slope - 1)²), slope >= 0.
        """
        told = (turned(p_wrong) & (wrong >= 0)).any(axis=1)
        p, known = p_wrong[told].astype(np.float64), wrong[told] >= 0
        if not len(p):
            return cls()
        right = ~((turned(p) != (wrong[told] == 1)) & known).any(axis=1)
        x, w = logit(_product(np.where(known, _sure(p), 1.0))), weights[told].astype(np.float64)

        found = PlattScaling.fit(x, right, w, _RIDGE)
        return cls(found.intercept, found.slope)

    def probability(self, p_wrong: NDArray[np.floating]) -> Floats:
        """Return (n,) how probable it is that the set is right which turns every answer that is likelier wrong.

        Two answers, one to be turned, of 0.8 and 0.9: 0.72 were they independent.

        >>> SuggestedSets().probability(np.array([[0.8, 0.1]])).round(3).tolist()
        [0.72]
        """
        sure = _sure(p_wrong.astype(np.float64))
        p = expit(self.intercept + self.slope * logit(_product(sure)))
        return np.asarray(np.minimum(p, sure.min(axis=1, initial=1)))

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Undo `to_dict`; what an earlier release saved has none, which is the product as it is."""
        try:
            return cls(*(float(saved.get(name, usual)) for name, usual in asdict(cls()).items()))
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"the saved odds of suggested sets are damaged: {error}; fit the screener again"
            ) from error


INDEPENDENT = SuggestedSets()
"""What nothing was learnt from: decisions as if they were independent."""


def turned(p_wrong: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return (n, c) which answers are likelier wrong than right."""
    return np.asarray(p_wrong > 0.5)


def _sure(p_wrong: Floats) -> Floats:
    return np.maximum(p_wrong, 1 - p_wrong)


def _product(sure: Floats) -> Floats:
    return np.asarray(np.exp(np.log(sure).sum(axis=1)))
