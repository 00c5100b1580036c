"""Logistic regression whose weights are held near what was believed before: a ridge to a centre, and lowest values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats, Linear, expit


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of the k weights before any row speaks: they are near `center`, and not below `lowest`.

    So many `further` rows at all the medians, half of them hits, keep the intercept finite where all rows are alike.
    """

    ridge: Floats
    lowest: Floats
    center: Floats | float = 0.0
    further: float = 0.0


def fitted(
    inputs: Floats, hit: Floats | NDArray[np.bool_], weights: Floats, prior: Prior, used: NDArray[np.bool_]
) -> Linear:
    """Minimise Σ weight · log loss + ½ Σ ridge · (w - center)² over w >= lowest and an intercept (L-BFGS-B).

    Of `inputs` (n, m) the k columns that are `used` get a weight, the others 0. `hit` (n,) is whether each row is one,
    or how probable that is.
    """
    from scipy.optimize import minimize

    ridge, further = prior.ridge, prior.further
    x, y = inputs[:, used], hit.astype(np.float64)
    start = np.zeros(x.shape[1]) + prior.center

    def loss(parameters: Floats) -> tuple[float, Floats]:
        w, intercept = parameters[:-1], parameters[-1]
        log_odds, away = x @ w + intercept, w - start
        value = weights @ (np.logaddexp(0, log_odds) - y * log_odds) + ridge @ away**2 / 2
        value += further * (np.logaddexp(0, intercept) - intercept / 2)
        slope = weights * (expit(log_odds) - y)
        return float(value), np.append(x.T @ slope + ridge * away, slope.sum() + further * (expit(intercept) - 0.5))

    rate = np.clip((weights @ y + further / 2) / (weights.sum() + further), 1e-6, 1 - 1e-6)
    bounds = [(low, None) for low in prior.lowest] + [(None, None)]
    first = np.append(start, np.log(rate / (1 - rate)))
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    full = np.zeros(len(used))
    full[used] = found[:-1]
    return Linear(tuple(full.tolist()), float(found[-1]))
