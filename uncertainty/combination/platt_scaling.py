"""Platt scaling that is drawn to changing nothing: log-odds get another level and another slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats, Linear, expit


@dataclass(frozen=True)
class PlattScaling:
    """Log-odds (n,) to intercept + slope · log-odds, slope >= 0, so ranks stay (Platt 1999).

    >>> PlattScaling(0.5, 2.0)(np.array([-1.0, 0.0])).tolist()
    [-1.5, 0.5]
    """

    intercept: float = 0.0
    slope: float = 1.0

    def __call__(self, log_odds: Floats) -> Floats:
        """Return (n,) log-odds."""
        return np.asarray(self.intercept + self.slope * log_odds)

    def of_expert(self, expert: Linear) -> Linear:
        """Return an expert whose log-odds are scaled.

        >>> PlattScaling(0.5, 2.0).of_expert(Linear((1.0, 0.0), -1.0))
        Linear(weights=(2.0, 0.0), intercept=-1.5)
        """
        return Linear(tuple(self.slope * weight for weight in expert.weights), float(self(np.array(expert.intercept))))

    @classmethod
    def fit(cls, log_odds: Floats, hit: Floats | NDArray[np.bool_], weights: Floats, ridge: float) -> Self:
        """Minimise Σ weight · log loss + ridge / 2 (intercept² + (slope - 1)²), slope >= 0 (L-BFGS-B).

        Of rows (n,) whose log-odds did not learn from whether they are hit, or how probably. Without rows nothing
        changes.
        """
        from scipy.optimize import minimize

        def loss(parameters: Floats) -> tuple[float, Floats]:
            scaled = parameters[0] + parameters[1] * log_odds
            away, off = parameters - np.array([0.0, 1.0]), weights * (expit(scaled) - hit)
            value = (weights * (np.logaddexp(0, scaled) - hit * scaled)).sum() + ridge / 2 * away @ away
            return float(value), np.array([off.sum(), off @ log_odds]) + ridge * away

        bounds = [(None, None), (0.0, None)]
        found = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(float(found[0]), float(found[1]))
