"""From many scores to one probability, `p_wrong`: the model, as plain numbers. How it is learnt: `fit.py`.

An incoming image is of one of up to three conditions k: like calibration ("clean"), damaged, or of no known class
("foreign"). For each there is an expert on how probable an error is, and gates say how probable the condition is:

    p_wrong = Σ_k P(k | x) P(wrong | x, k),   P(wrong | x, foreign) = 1 (0 where no label is said to be there),
    P(k | x) / P(clean | x) = share_k / share_clean · exp(gate_k · φ(x)).

So what damaged images teach is used where an image looks damaged and costs little elsewhere; a single weighing of all
scores has to compromise. Experts are additive, logistic, and never fall as a score rises,

    logit P(wrong | x, k) = a_k + b_k,ŷ + Σ_j Σ_h w_kjh · max(z_j - h, 0),   w_kjh >= 0,

since every score rises with the chance of an error: few errors can silence an estimator but never turn it round.
The weights start from the best score of each kind of evidence and are drawn back to it, those of the damaged expert to
those of the clean one, all the harder the fewer errors there are, see `fit.py`.
Without foreign copies the distance to known-good images is the gate of the foreign condition, see `tails.py`.
A gate may close as a score rises, so the mixture can fall a little where the experts do not.
Where images have several labels, level and slope of the clean expert are those of rows that it did not learn from, by
Platt scaling that is drawn to no change.
z_j is the j-th score on its scale, centred and spread by clean calibration quantiles and clipped; b_k,ŷ is how much
more often than others the predicted class is wrong, shrunk towards 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.tails import Tails
from uncertainty.errors import ArtifactError

Floats = NDArray[np.float64]
Scale = Literal["plain", "log", "logit"]
Condition = Literal["clean", "damaged", "foreign"]

SEVERAL_SAID, NOTHING_SAID = -1, -2
HINGES = (-6.0, -0.7, 0.5, 1.3)
"""Where the slope of a score may change, in spreads from its median; the first is the clipping bound, so linear."""
_UNUSUAL, _UNUSUAL_CLIP = 0.5, 4.0
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Signals:
    """What is known of n images: all that p_wrong is computed from.

    Parameters
    ----------
    scores : (n, m) of m estimators, higher = more likely wrong.
    context : (n, q) signed statistics of the image itself (its quality; q may be 0): which side of usual it is on
        tells the kind of damage, but no side is bad by itself.
    predicted : (n,) index of the predicted class; where there is no single one (multilabel) SEVERAL_SAID, or
        NOTHING_SAID where no label is said to be there.

    """

    scores: Floats
    context: Floats
    predicted: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_] | slice) -> Signals:
        """Return the rows of a mask or a slice."""
        return Signals(self.scores[rows], self.context[rows], self.predicted[rows])


@dataclass(frozen=True)
class Basis:
    """Turns signals into the inputs φ(x) of experts and gates: (n, 4 m + 2 q + classes)."""

    scales: tuple[Scale, ...]
    centers: tuple[float, ...]
    spreads: tuple[float, ...]
    context_centers: tuple[float, ...]
    context_spreads: tuple[float, ...]
    classes: int

    @classmethod
    def of(cls, scales: tuple[Scale, ...], signals: Signals, classes: int, weights: Floats | None = None) -> Self:
        """Centre and spread by these rows: median, and the 10 % to 90 % range over that of a normal distribution."""
        scores = _location(_rescaled(signals.scores, scales), weights)
        return cls(scales, *scores, *_location(signals.context, weights), classes)

    def __call__(self, signals: Signals) -> Floats:
        """Return four hinges of each score, how far each context column is above and below, and the predicted class."""
        z = np.clip((_rescaled(signals.scores, self.scales) - self.centers) / self.spreads, HINGES[0], -HINGES[0])
        hinged = np.maximum(z[:, :, None] - np.array(HINGES), 0) - np.maximum(-np.array(HINGES), 0)
        c = (signals.context - self.context_centers) / self.context_spreads
        sides = np.maximum(np.clip(np.stack([c, -c], axis=2), -_UNUSUAL_CLIP, _UNUSUAL_CLIP) - _UNUSUAL, 0)
        one_hot = signals.predicted[:, None] == np.arange(self.classes)
        n, m, q = len(z), len(self.scales), len(self.context_centers)
        return np.concatenate([hinged.reshape(n, m * len(HINGES)), sides.reshape(n, 2 * q), one_hot], axis=1)

    @property
    def sources(self) -> NDArray[np.int64]:
        """(inputs,) where each input comes from: score 0 … m-1, m = context, m + 1 = predicted class."""
        m, q = len(self.scales), len(self.context_centers)
        return np.repeat(np.arange(m + 2), [*[len(HINGES)] * m, 2 * q, self.classes])


@dataclass(frozen=True)
class Linear:
    """log-odds = intercept + weights · φ(x)."""

    weights: tuple[float, ...]
    intercept: float

    def __call__(self, inputs: Floats) -> Floats:
        """Return (n,) log-odds."""
        return np.asarray(inputs @ np.array(self.weights) + self.intercept)


@dataclass(frozen=True)
class Mixture:
    """The fitted model: experts for the clean and the damaged condition, gates for the damaged and the foreign one."""

    names: tuple[str, ...]
    basis: Basis
    experts: dict[Condition, Linear]
    gates: dict[Condition, Linear | Tails]

    def p_wrong(self, signals: Signals) -> Floats:
        """Return (n,) in 0..1; each row on its own."""
        return self._p_wrong(signals, self.basis(signals))

    def _p_wrong(self, signals: Signals, inputs: Floats) -> Floats:
        odds, wrong = self._conditions(signals, inputs)
        share = np.exp(odds - odds.max(axis=1, keepdims=True))
        return np.asarray((share * wrong).sum(axis=1) / share.sum(axis=1))

    def conditions(self, signals: Signals) -> tuple[Floats, Floats]:
        """Return (n, k) log-odds of each condition against clean, and (n, k) P(wrong | x, condition).

        Clean comes first, its log-odds are 0; then the conditions in the order of `gates`.
        """
        return self._conditions(signals, self.basis(signals))

    def _conditions(self, signals: Signals, inputs: Floats) -> tuple[Floats, Floats]:
        gates = (gate(signals.scores if isinstance(gate, Tails) else inputs) for gate in self.gates.values())
        odds = np.stack([np.zeros(len(inputs)), *gates], axis=1)
        wrong = [expit(self.experts["clean"](inputs))]
        foreign = np.where(signals.predicted == NOTHING_SAID, 0.0, 1.0)
        wrong += [expit(self.experts[k](inputs)) if k in self.experts else foreign for k in self.gates]
        return odds, np.stack(wrong, axis=1)

    def contributions(self, signals: Signals) -> Floats:
        """Return (n, m + 2): what each score, the context and the predicted class add to the log-odds of p_wrong.

        What the clean expert says is a sum by nature, 0 for an image at all the medians. What the gates change is
        given to the sources that opened them, in proportion.
        """
        inputs = self.basis(signals)
        clean = self.experts["clean"]
        parts = self._by_source(inputs, clean)
        if not self.gates:
            return parts
        pulls = (np.maximum(self._pull(signals, inputs, gate), 0) for gate in self.gates.values())
        pull = sum(pulls, np.zeros(1))
        moved = logit(self._p_wrong(signals, inputs)) - clean(inputs)
        return np.asarray(parts + moved[:, None] * pull / np.maximum(pull.sum(axis=1, keepdims=True), _TINY))

    def _pull(self, signals: Signals, inputs: Floats, gate: Linear | Tails) -> Floats:
        if isinstance(gate, Linear):
            return self._by_source(inputs, gate)
        pull = np.zeros((len(inputs), len(self.names) + 2))
        pull[:, list(gate.columns)] = gate.each(signals.scores)
        return pull

    def _by_source(self, inputs: Floats, linear: Linear) -> Floats:
        terms, m = inputs * np.array(linear.weights), len(self.names)
        context, classes = (np.flatnonzero(self.basis.sources == k) for k in (m, m + 1))
        hinged = terms[:, : m * len(HINGES)].reshape(len(terms), m, len(HINGES)).sum(axis=2)
        return np.column_stack([hinged, terms[:, context].sum(axis=1), terms[:, classes].sum(axis=1)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def from_dict(saved: dict[str, Any]) -> Mixture:
    """Undo `to_dict`."""
    try:
        combiner = _rebuilt({k: _tuples(v) for k, v in saved.items()})
        combiner.p_wrong(_blank(combiner))
    except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
        raise ArtifactError(f"the saved combiner is damaged: {error}; fit the screener again") from error
    return combiner


def _rebuilt(values: dict[str, Any]) -> Mixture:
    values["basis"] = Basis(**values["basis"])
    values["experts"] = {k: Linear(**linear) for k, linear in values["experts"].items()}
    values["gates"] = {k: (Linear if "weights" in gate else Tails)(**gate) for k, gate in values["gates"].items()}
    return Mixture(**values)


def _blank(combiner: Mixture) -> Signals:
    """One row on which a combiner with missing or misshapen numbers fails."""
    context = len(combiner.basis.context_centers)
    return Signals(np.zeros((1, len(combiner.names))), np.zeros((1, context)), np.zeros(1, dtype=np.int64))


def expit(log_odds: Any) -> Floats:
    """Log-odds to probability."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(log_odds) / 2)))


def logit(p: Any) -> Floats:
    """Probability to log-odds, finite at 0 and 1."""
    p = np.clip(p, _TINY, 1 - _TINY)
    return np.asarray(np.log(p) - np.log1p(-p))


def _rescaled(scores: Floats, scales: tuple[Scale, ...]) -> Floats:
    columns = np.array(scores, dtype=np.float64)
    for j, scale in enumerate(scales):
        if scale == "log":
            columns[:, j] = np.log(np.maximum(columns[:, j], _TINY))
        elif scale == "logit":
            columns[:, j] = logit(columns[:, j])
    return columns


def _location(z: Floats, weights: Floats | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # NumPy weighs no interpolated quantile, so rows that all count the same keep the one that it interpolates.
    even = weights is None or not z.shape[1] or bool((weights == weights[0]).all())
    weighed: dict[str, Any] = {} if even else {"weights": weights, "method": "inverted_cdf"}
    low, middle, high = np.quantile(z, (0.1, 0.5, 0.9), axis=0, **weighed)
    spread = np.maximum((high - low) / 2.5631, 1e-6)  # 2.5631 standard deviations of a normal distribution
    return _tuples(middle.tolist()), _tuples(spread.tolist())


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
