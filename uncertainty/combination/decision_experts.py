"""From the log-odds that a decision is wrong to a probability, for each condition of the image: `p_wrong_<class>`.

The image's own mixture says how probable each condition is; experts say how probable an error of each decision then is,

    p_wrong_c = Σ_k P(k | x) P(decision c wrong | x, k),
    logit P(decision c wrong | x, k) = a_k + b_kc + Σ_h w_kh · max(z_c - h, 0),   w_kh >= 0,

z_c the log-odds of `fused_decisions` (without it, of the classifier alone), centred and spread by clean calibration
rows. Weights are shared by all labels and drawn towards a slope of 1, b_kc is shrunk towards 0: a label with few errors
has the strength of all. An image of no known content carries none of the labels: what is said to be there is wrong. No
decision is likelier wrong than that some decision is, so p_wrong_c <= p_wrong. That limit takes more away than it
should where both are uncertain, so the clean expert is raised until it is as often right as it says, on calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import HINGES, Condition, Floats, expit, logit
from uncertainty.errors import ArtifactError

Rows = NDArray[np.bool_]
_CLASS_RIDGE = 10.0
_RIDGES: dict[Condition, float] = {"clean": 10.0, "damaged": 30.0}
_MOST_LIFT = 2.0
_TAIL = 2.5631  # standard deviations of a normal distribution between its 10 % and its 90 % quantile


@dataclass(frozen=True)
class DecisionExpert:
    """log-odds (n, c) = intercept + of_class (c,) + weights (h,) · hinges (n, c, h)."""

    weights: tuple[float, ...]
    intercept: float
    of_class: tuple[float, ...]

    def __call__(self, hinged: Floats) -> Floats:
        """Return (n, c) log-odds."""
        return np.asarray(hinged @ np.array(self.weights) + self.intercept + np.array(self.of_class))


@dataclass(frozen=True)
class DecisionExperts:
    """What turns log-odds of decisions into probabilities.

    Parameters
    ----------
    center, spread : median of clean calibration's log-odds, and their 10 % to 90 % range over that of a normal one.
    experts : one for the clean condition, and for the damaged one where it was learnt.

    """

    center: float
    spread: float
    experts: dict[Condition, DecisionExpert]

    def p_wrong(self, log_odds: Floats, said: Rows, conditions: Mapping[Condition, Floats]) -> Floats:
        """Return (n, c) in 0..1.

        log_odds : (n, c) that each decision is wrong; said : (n, c) what is said to be there; conditions : the chance
        (n,) of each condition of the image.
        """
        hinged = self._hinged(log_odds)
        wrong = {k: expit(expert(hinged)) for k, expert in self.experts.items()}
        parts = (share[:, None] * wrong.get(k, said.astype(np.float64)) for k, share in conditions.items())
        return np.asarray(sum(parts, np.zeros(log_odds.shape)))

    def _hinged(self, log_odds: Floats) -> Floats:
        z = np.clip((log_odds - self.center) / self.spread, HINGES[0], -HINGES[0])
        return np.asarray(np.maximum(z[:, :, None] - np.array(HINGES), 0) - np.maximum(-np.array(HINGES), 0))

    @classmethod
    def fit(cls, log_odds: Floats, wrong: NDArray[np.int8], rows: Mapping[Condition, Rows], weights: Floats) -> Self:
        """Learn one expert for each condition from its rows.

        log_odds : (n, c) by what did not learn from the row; wrong : (n, c) 1, 0 and -1, whose answer nobody knows;
        weights : (n,) what each row counts, of copies all the same.
        """
        low, middle, high = np.quantile(log_odds[rows["clean"]], (0.1, 0.5, 0.9))
        made = cls(float(middle), float(max((high - low) / _TAIL, 1e-6)), {})
        for condition, own in rows.items():
            counts = weights[own] if condition == "clean" else np.ones(int(own.sum()))
            made.experts[condition] = _fitted(
                made._hinged(log_odds[own]), wrong[own], counts, _RIDGES[condition], made.spread
            )
        return made

    def raised(self, by: float) -> DecisionExperts:
        """Return the same with log-odds of the clean expert higher by a number."""
        clean = self.experts["clean"]
        return replace(self, experts=self.experts | {"clean": replace(clean, intercept=clean.intercept + by)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Undo `to_dict`."""
        try:
            experts = {
                k: DecisionExpert(tuple(one["weights"]), float(one["intercept"]), tuple(one["of_class"]))
                for k, one in saved["experts"].items()
            }
            made = cls(float(saved["center"]), float(saved["spread"]), experts)
            c = len(experts["clean"].of_class)
            made.p_wrong(np.zeros((1, c)), np.zeros((1, c), dtype=bool), {k: np.ones(1) for k in experts})
        except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
            raise ArtifactError(
                f"the saved experts of decisions are damaged: {error}; fit the screener again"
            ) from error
        return made


def lift(p_wrong: Floats, most: Floats, wrong: NDArray[np.int8], weights: Floats) -> float:
    """Return by how much log-odds are raised so that, below a limit, probabilities are as high as errors are frequent.

    p_wrong : (n, c) of decisions; most : (n,) the limit; wrong : (n, c) 1, 0 and -1, whose answer nobody knows;
    weights : (n,). Solves Σ weight (min(expit(logit p_wrong + lift), most) - wrong) = 0 over known answers, 0 to 2.

    >>> p, most = np.array([[0.25], [0.5]]), np.array([0.25, 0.9])
    >>> round(lift(p, most, np.array([[0], [1]], dtype=np.int8), np.ones(2)), 3)
    1.099
    """
    from scipy.optimize import brentq

    known = weights[:, None] * (wrong >= 0)
    log_odds, errors = logit(p_wrong), (known * (wrong > 0)).sum()

    def missing(by: float) -> float:
        return float((known * np.minimum(expit(log_odds + by), most[:, None])).sum() - errors)

    if missing(0.0) >= 0:
        return 0.0
    return _MOST_LIFT if missing(_MOST_LIFT) <= 0 else float(brentq(missing, 0.0, _MOST_LIFT))


def shares(odds: Floats, conditions: Sequence[Condition]) -> dict[Condition, Floats]:
    """Return the chance (n,) of each condition from their log-odds (n, k) against the first.

    >>> shares(np.log([[1.0, 3.0]]), ["clean", "damaged"])
    {'clean': array([0.25]), 'damaged': array([0.75])}
    """
    share = np.exp(odds - odds.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return dict(zip(conditions, share.T, strict=True))


def _fitted(hinged: Floats, wrong: NDArray[np.int8], counts: Floats, ridge: float, slope: float) -> DecisionExpert:
    """Minimise Σ counts · log loss + ridge / 2 ‖w - w0‖² + 5 ‖b‖², w >= 0, w0 a slope of 1 in log-odds (L-BFGS-B)."""
    from scipy.optimize import minimize

    n, c, h = hinged.shape
    flat, weight, truth = hinged.reshape(n * c, h), counts[:, None] * (wrong >= 0), wrong > 0
    start = np.concatenate([[slope], np.zeros(h - 1 + 1 + c)])
    pull = np.concatenate([np.full(h, ridge), [0.0], np.full(c, _CLASS_RIDGE)])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        away = parameters - start
        log_odds = (flat @ parameters[:h]).reshape(n, c) + parameters[h] + parameters[h + 1 :]
        value = (weight * (np.logaddexp(0, log_odds) - truth * log_odds)).sum() + (pull * away) @ away / 2
        off = weight * (expit(log_odds) - truth)
        by_class = off.sum(axis=0)
        return float(value), np.concatenate([off.ravel() @ flat, [by_class.sum()], by_class]) + pull * away

    # Half an error and half a right decision keep the intercept finite where all are alike.
    rate = ((weight * truth).sum() + 0.5) / (weight.sum() + 1)
    first = start.copy()
    first[h] = np.log(rate / (1 - rate))
    bounds = [(0.0, None)] * h + [(None, None)] * (1 + c)
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300}).x
    return DecisionExpert(tuple(found[:h].tolist()), float(found[h]), tuple(found[h + 1 :].tolist()))
