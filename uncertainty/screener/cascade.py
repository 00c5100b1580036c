"""Expensive evidence only for images whose verdict it could still change, decided on calibration.

Every image is judged by the cheap estimators first. Where that p_wrong lies in [low, high], the image is looked at
more deeply and all estimators judge it; elsewhere the first judgement stands:

    p_wrong(x) = full(x)  if low <= cheap(x) <= high,  else cheap(x).

Both are calibrated probabilities, so they share one threshold and one ranking. The interval sends the smallest share of
images deeper with which, on calibration rows out of fold, hardly a flag differs from what full evidence says and hardly
any ranking is lost; with a share of images in place of that it gains most for the ranking, see `ranking_gain`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.look import Deeper, Look
from uncertainty.combination import mixture as combiners
from uncertainty.combination.evidence import signals
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import Combination
from uncertainty.combination.mixture import Mixture
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, decide
from uncertainty.decisions.policies import Policy
from uncertainty.defaults import CASCADE_LOSS
from uncertainty.errors import ArtifactError, InputError
from uncertainty.estimators.base import Estimator
from uncertainty.metrics import e_aurc, log_loss
from uncertainty.outputs import ModelOutputs
from uncertainty.screener.ranking_gain import best_interval, ranking_gains

Floats = NDArray[np.float64]
Decide = Callable[[Floats], float | NDArray[np.floating]]
"""From p_wrong of the held-out rows to the threshold, or to that of each row."""
Learn = Callable[[Evidence], tuple[Combination, Floats]]
"""From calibration rows to a combiner, and p_wrong of each row from one without it."""

MOST_CHANGED = 0.005
"""Of images like calibration, how many may be flagged otherwise than by full evidence."""
NOBODY, EVERYBODY = (1.0, 0.0), (0.0, 1.0)
SECOND_OPINION, VIEWS, DROPOUT = "embedding", "tta_probs", "mc_probs"
CASCADE_ROWS = "cascade.held_out"
"""The name of the held-out rows among the arrays of a saved screener."""
_STEPS = 50


def dear_columns(*, dropout: bool) -> tuple[str, ...]:
    """Return the columns that may cost more than a pass of the classifier; with those of dropout, where it is dear."""
    return (SECOND_OPINION, VIEWS, DROPOUT) if dropout else (SECOND_OPINION, VIEWS)


def effort_of(columns: Collection[str], dear: Collection[str] = (), views: int = 2) -> str:
    """Name the effort that these columns take: fast, balanced with a second opinion or one view, thorough with more.

    Dropout is thorough where it is among the `dear` columns.

    >>> effort_of(["logits"]), effort_of(["logits", "embedding"]), effort_of(["tta_probs", "embedding"])
    ('fast', 'balanced', 'thorough')
    """
    if (VIEWS in columns and views > 1) or (DROPOUT in columns and DROPOUT in dear):
        return "thorough"
    return "balanced" if SECOND_OPINION in columns or VIEWS in columns else "fast"


def nothing_deeper(estimators: Sequence[Estimator], columns: Sequence[str]) -> list[str]:
    """Say that a cascade was asked for, by naming its columns, that has nothing to look deeper with."""
    if not columns or any(set(e.reads) & set(columns) for e in estimators):
        return []
    return ["there is no cascade: nothing here costs more than one pass; give it a second opinion or views"]


@dataclass(frozen=True, eq=False)
class Doubt:
    """What the interval is decided on: calibration rows, out of fold; each (n,).

    cheap, full : p_wrong by the cheap and by all estimators.
    weights : what each row counts; wrong : whether the classifier was; clean : not a damaged or foreign copy.
    """

    cheap: Floats
    full: Floats
    weights: Floats
    wrong: NDArray[np.bool_]
    clean: NDArray[np.bool_]

    def mixed(self, interval: tuple[float, float]) -> Floats:
        """Return (n,) p_wrong as the cascade reports it."""
        return np.where(_inside(self.cheap, interval), self.full, self.cheap)

    def share(self, rows: NDArray[np.bool_]) -> float:
        """Return what these rows weigh of all."""
        return float(self.weights[rows].sum(dtype=np.float64) / self.weights.sum(dtype=np.float64))

    @property
    def gains(self) -> bool:
        """Whether full evidence is the better on clean rows, by log loss."""
        cheap, full = (log_loss(self.wrong[self.clean], p[self.clean]) for p in (self.cheap, self.full))
        return full < cheap

    @cached_property
    def gained(self) -> Floats:
        """(n,) what a deeper look at each row gains for the ranking."""
        return ranking_gains(self.cheap, self.full, self.weights)

    def within(self, share: float) -> tuple[float, float]:
        """Return the interval of at most this share of the rows that gains most."""
        return best_interval(self.cheap, self.gained, self.weights, share) or NOBODY

    def to_array(self) -> NDArray[np.float32]:
        """Return (5, n), as it is saved."""
        return np.stack([self.cheap, self.full, self.weights, self.wrong, self.clean]).astype(np.float32)

    @classmethod
    def from_array(cls, array: NDArray[np.float32]) -> Doubt:
        """Undo `to_array`."""
        if array.ndim != 2 or len(array) != 5:
            raise ArtifactError(f"the saved cascade has rows of shape {array.shape}; fit the screener again")
        # Of float32 values even at the first fit, so that what is loaded decides as what was saved.
        cheap, full, weights = array[:3].astype(np.float64)
        return cls(cheap, full, weights, array[3] > 0, array[4] > 0)


@dataclass(frozen=True, eq=False)
class Cascade:
    """A combiner of cheap estimators, the columns that only a deeper look fills, and where to look deeper.

    `loss` is the share of E-AURC that may be lost, or `most` the share of images that may go deeper, whatever is lost;
    `interval` are (low, high) of cheap p_wrong, and nobody goes deeper where low is above high.
    """

    combiner: Mixture
    columns: tuple[str, ...]
    held_out: Doubt
    loss: float = CASCADE_LOSS
    interval: tuple[float, float] = EVERYBODY
    most: float | None = None

    @classmethod
    def fit(
        cls,
        evidence: Evidence,
        full: Floats,
        estimators: Sequence[Estimator],
        columns: Sequence[str],
        learn: Learn,
        *,
        loss: float = CASCADE_LOSS,
        most: float | None = None,
    ) -> Cascade | None:
        """Combine the estimators that do without `columns`, on the same calibration rows and folds as all of them.

        `full` is (n,) p_wrong of these rows by all estimators, from combiners without them, as `learn` gives it.

        None where no estimator needs the columns. Raises InputError where each needs one.
        """
        cheap = np.array([not set(e.reads) & set(columns) for e in estimators])
        if cheap.all():
            return None
        if not cheap.any():
            raise InputError(f"every estimator needs {' or '.join(columns)}; add one that does without")
        first, p_wrong = learn(evidence.only(cheap))
        rows = (p_wrong, full, evidence.weights, evidence.wrong, evidence.rows("clean"))
        held_out = Doubt.from_array(np.stack(rows).astype(np.float32))
        return cls(first.combiner, tuple(columns), held_out, loss, most=most)

    def decided(self, decide: Decide) -> Cascade:
        """Return the same cascade with the interval for a threshold that is decided by `decide`."""
        if not self.held_out.gains:
            return replace(self, interval=NOBODY)
        if self.most is not None:
            return replace(self, interval=self.held_out.within(self.most))
        return replace(self, interval=narrowest(self.held_out, decide, self.loss))

    def wants(self, cheap: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n,) which rows to look at more deeply, from their cheap p_wrong."""
        return _inside(cheap, self.interval)

    @property
    def p_wrong(self) -> Floats:
        """(n,) p_wrong of the held-out rows as the cascade reports it: what a threshold is decided on."""
        return self.held_out.mixed(self.interval)

    @property
    def share(self) -> float:
        """Share of images like calibration that go deeper."""
        return self.held_out.share(self.wants(self.held_out.cheap))

    @property
    def kept(self) -> float:
        """Share of what deeper looks at all images would gain for the ranking that these gain, on calibration."""
        gained = self.held_out.weights * self.held_out.gained
        return float(gained[self.wants(self.held_out.cheap)].sum() / max(gained.sum(), 1e-300))

    def cheap(self, estimators: Sequence[Estimator]) -> tuple[Estimator, ...]:
        """Return those of the fitted estimators that do without a deeper look."""
        return tuple(e for e in estimators if not set(e.reads) & set(self.columns))

    def first_sight(self, estimators: Sequence[Estimator], outputs: ModelOutputs) -> NDArray[np.float32]:
        """Return (n,) cheap p_wrong in 0..1, higher = more likely wrong; each row on its own."""
        return self.combiner.p_wrong(signals(self.cheap(estimators), outputs)).astype(np.float32)

    def taken(self, estimators: Sequence[Estimator], outputs: ModelOutputs) -> ModelOutputs:
        """Return the rows that get a deeper look, of outputs with all columns."""
        return outputs.take(self.wants(self.first_sight(estimators, outputs)))

    def p_wrong_of(
        self, outputs: ModelOutputs, estimators: Sequence[Estimator], combiner: Mixture
    ) -> NDArray[np.float32]:
        """Return (n,) p_wrong as reported, from outputs with all columns."""
        p_wrong = self.first_sight(estimators, outputs)
        wanted = self.wants(p_wrong)
        p_wrong[wanted] = combiner.p_wrong(signals(estimators, outputs.take(wanted)))
        return p_wrong

    def describe(self) -> str:
        """Say, in one sentence, what goes deeper."""
        if self.interval == NOBODY:
            return "a deeper look gains nothing on calibration, so no image gets one"
        low, high = self.interval
        kept = "" if self.most is None else f", {self.kept:.0%} of what it would gain on all of them"
        return (
            f"a deeper look for p_wrong between {low:.3f} and {high:.3f} at first sight: "
            f"about {self.share:.0%} of images like calibration{kept}"
        )

    def look(self, estimators: Sequence[Estimator], look: Look) -> Look:
        """Return a look that leaves to a deeper one, where that is wanted, what it alone can see."""

        def wanted(outputs: ModelOutputs) -> NDArray[np.bool_]:
            return self.wants(self.first_sight(estimators, outputs))

        late = look.passes if DROPOUT in self.columns else 0
        deeper = Deeper(wanted, late, look.seed, look.views)
        return replace(look, passes=look.passes - late, views=(), deeper=deeper)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `held_out` is an array and saved beside them."""
        return {
            "combiner": self.combiner.to_dict(),
            "columns": list(self.columns),
            "loss": self.loss,
            "interval": list(self.interval),
            **({} if self.most is None else {"most": self.most}),
        }

    @classmethod
    def restored(cls, saved: dict[str, Any] | None, arrays: Mapping[str, NDArray[Any]]) -> Cascade | None:
        """Undo `to_dict`; the rows are among the arrays of the saved screener."""
        if saved is None:
            return None
        try:
            low, high = (float(end) for end in saved["interval"])
            held_out = Doubt.from_array(arrays[CASCADE_ROWS])
            first = combiners.from_dict(saved["combiner"])
            most = None if saved.get("most") is None else float(saved["most"])
            return cls(first, tuple(saved["columns"]), held_out, float(saved["loss"]), (low, high), most)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the saved cascade is damaged: {error}; fit the screener again") from error


def narrowest(
    held_out: Doubt, decide: Decide, most_lost: float = CASCADE_LOSS, most_changed: float = MOST_CHANGED
) -> tuple[float, float]:
    """Return the interval that sends the smallest share of images deeper and keeps both promises on held-out rows.

    Flags differ from those of full evidence on at most `most_changed` of the weight, with a standard error to spare.
    And AURC is above that of full evidence by at most `most_lost` of its E-AURC, where each row counts as wrong with
    the probability that full evidence says: labels would tell the same with far more noise.

    Cheap evidence is in doubt about the two rows in the middle, which full evidence tells apart:

    >>> cheap, full = np.array([0.0, 0.4, 0.5, 0.9]), np.array([0.0, 0.8, 0.1, 0.9])
    >>> rows = Doubt(cheap, full, np.ones(4), full > 0.5, np.ones(4, dtype=bool))
    >>> low, high = narrowest(rows, decide=lambda p: 0.5)
    >>> round(low, 2), round(high, 2)
    (0.2, 0.7)
    """
    flagged = held_out.full >= decide(held_out.full)
    excess = e_aurc(held_out.wrong[held_out.clean], held_out.full[held_out.clean])
    most_area = _area(held_out, held_out.full) + most_lost * excess + 1e-12
    # Of copies that weigh little there are many: the error of a share is that of so many rows of equal weight.
    rows = held_out.weights.sum() ** 2 / (held_out.weights**2).sum()

    def keeps(interval: tuple[float, float]) -> bool:
        mixed = held_out.mixed(interval)
        if _area(held_out, mixed) > most_area:
            return False
        changed = held_out.share((mixed >= decide(mixed)) != flagged)
        return bool(changed + np.sqrt(changed / rows) <= most_changed)

    if keeps(NOBODY):
        return NOBODY
    ends = _ends(held_out)
    found = [(ends[i], ends[j]) for i in range(len(ends) - 1) if (j := _first(keeps, ends, i)) is not None]
    return min(found, key=lambda interval: held_out.share(_inside(held_out.cheap, interval)), default=EVERYBODY)


def _first(keeps: Callable[[tuple[float, float]], bool], ends: list[float], start: int) -> int | None:
    """Find, by bisection, where an interval from `start` may end and keep the promises; None if nowhere."""
    if not keeps((ends[start], ends[-1])):
        return None
    fails, works = start, len(ends) - 1
    while works - fails > 1:
        middle = (fails + works) // 2
        fails, works = (fails, middle) if keeps((ends[start], ends[middle])) else (middle, works)
    return works


def _area(held_out: Doubt, p_wrong: Floats) -> float:
    """Return AURC of a ranking, in expectation: each row is wrong with the probability that full evidence says."""
    order = np.argsort(p_wrong, kind="stable")
    weights = held_out.weights[order]
    covered = weights.cumsum()
    risk = (weights * held_out.full[order]).cumsum() / covered
    return float(weights @ risk / covered[-1])


def _ends(held_out: Doubt) -> list[float]:
    """Return where an interval may begin or end: steps of equal weight, each between the values of two rows."""
    order = np.argsort(held_out.cheap, kind="stable")
    cheap, covered = held_out.cheap[order], held_out.weights[order].cumsum()
    gaps = np.flatnonzero(cheap[1:] > cheap[:-1])
    steps = np.searchsorted(covered[gaps], covered[-1] * np.linspace(0, 1, _STEPS + 1))
    chosen = gaps[np.unique(steps[steps < len(gaps)])]
    return [0.0, *((cheap[chosen] + cheap[chosen + 1]) / 2).tolist(), 1.0]


def _inside(cheap: NDArray[np.floating], interval: tuple[float, float]) -> NDArray[np.bool_]:
    low, high = interval
    return np.asarray((cheap >= low) & (cheap <= high))


def decided(policy: Policy, calibration: HeldOut, cascade: Cascade | None) -> tuple[Decision, HeldOut, Cascade | None]:
    """Decide a policy on calibration rows; in a cascade on p_wrong as it reports it, with an interval of its own."""
    if cascade is None:
        return decide(policy, calibration), calibration, None

    def thresholds(p_wrong: Floats) -> NDArray[np.float32]:
        return decide(policy, calibration.with_p_wrong(p_wrong)).thresholds(calibration.predicted)

    cascade = cascade.decided(thresholds)
    rows = calibration.with_p_wrong(cascade.p_wrong)
    return decide(policy, rows), rows, cascade
