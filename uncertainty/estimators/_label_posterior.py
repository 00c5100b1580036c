"""Of each label the log-odds that an image carries it, from several sources, weighed by what labels say of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

_BIAS_RIDGE = 10.0


@dataclass(frozen=True, eq=False)
class LabelFusion:
    """g_c = Σ_s w_s l_s(c) + v r_c + b_c, log-odds that the label c is carried.

    Parameters
    ----------
    weights : (s,) w >= 0 of each source, shared by all labels; at 1 for the first, and 0 for the others, where no
        label speaks.
    company : v, of either sign: what it says of a label how many others there are.
    bias : (c,) b.

    """

    weights: Array
    company: float
    bias: Array

    def __call__(self, log_odds: Array, company: Array) -> Array:
        """Return g (n, c) of log-odds (n, c, s) and how many other labels there are (n, c)."""
        return np.asarray(log_odds @ self.weights + self.company * company + self.bias)


def label_fusion(log_odds: Array, company: Array, labels: Labels) -> LabelFusion:
    """Minimise Σ log loss of the known answers + ½ ‖w - w0‖² + ½ v² + 5 ‖b‖², w >= 0, by L-BFGS-B.

    log_odds : (n, c, s) of each source; company : (n, c) how many other labels there are; labels : (n, c) of 1, 0 and
    -1, an answer that nobody knows and none teaches.

    Two sources, of which the second is right each time: it comes to count.

    >>> log_odds = np.log([[[9.0, 9.0]], [[9.0, 1 / 9]]])
    >>> label_fusion(log_odds, np.zeros((2, 1)), np.array([[1], [0]])).weights.round(2).tolist()
    [0.45, 0.81]
    """
    from scipy.optimize import minimize

    n, c, s = log_odds.shape
    flat = np.concatenate([log_odds, company[:, :, None]], axis=2).reshape(n * c, s + 1)
    known, truth = labels >= 0, labels > 0
    center = np.append(1.0, np.zeros(s + c))
    pull = np.append(np.ones(s + 1), np.full(c, _BIAS_RIDGE))

    def loss(parameters: Array) -> tuple[float, Array]:
        away = parameters - center
        g = (flat @ parameters[: s + 1]).reshape(n, c) + parameters[s + 1 :]
        value = (known * (np.logaddexp(0, g) - truth * g)).sum() + (pull * away) @ away / 2
        slope = known * (0.5 * (1 + np.tanh(g / 2)) - truth)
        return float(value), np.append(slope.ravel() @ flat, slope.sum(axis=0)) + pull * away

    bounds = [(0.0, None)] * s + [(None, None)] * (1 + c)
    found = minimize(loss, center, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300}).x
    return LabelFusion(found[:s], float(found[s]), found[s + 1 :])
