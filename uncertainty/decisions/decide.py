"""From a policy to the thresholds that answer it. An image is flagged where its p_wrong reaches its threshold.

Budgets are decided on all calibration rows by weight, so they hold for the declared mixture of clean, damaged and
foreign images. Promises (`max_error`, `min_recall`, `min_precision`) are decided on clean calibration rows alone, each
counted once: they hold for images like calibration, and say nothing about damaged ones or those of no known class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.guarantees import certify, missable, pooled, rows_needed, shares_of_confidence
from uncertainty.decisions.policies import PROMISES, Policy, percent
from uncertainty.decisions.thresholds import EVERYTHING, NOTHING, budget_threshold, just_above, risk_on_curve
from uncertainty.errors import ArtifactError, CalibrationError, InputError

_FEW_ROWS = 50
# A class with barely enough rows to certify anything fails at its first error. Measured on CIFAR-10 and made images,
# four times that leaves most classes a line of their own and costs little of what one line for all leaves unflagged.
_ROOM = 4


@dataclass(frozen=True)
class Line:
    """A threshold and what it rests on; for all classes where `classes` is empty, else for these, decided together.

    `support` are the rows that the decision counted: errors for min_recall, else images. `certified` is None where
    nothing was promised, False where the promise is void; then everything is flagged (min_precision: nothing), and
    `why` says what lacked.
    """

    threshold: float
    support: int
    classes: tuple[int, ...] = ()
    certified: bool | None = None
    why: str = ""


@dataclass(frozen=True)
class Decision:
    """A policy and the thresholds that answer it."""

    policy: Policy
    lines: tuple[Line, ...]

    def line(self, predicted: int) -> Line | None:
        """Return the line for images predicted to be of a class; None where calibration had no such image."""
        return next((line for line in self.lines if not line.classes or predicted in line.classes), None)

    def thresholds(self, predicted: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return (n,) the threshold of each image; one of a class that calibration lacks is always flagged."""
        known = {int(k): self.line(int(k)) for k in np.unique(predicted)}
        of_class = {k: EVERYTHING if line is None else line.threshold for k, line in known.items()}
        return np.array([of_class[int(k)] for k in predicted], dtype=np.float32)

    def flags(self, p_wrong: NDArray[np.floating], predicted: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return (n,) which images are flagged."""
        return np.asarray(p_wrong.astype(np.float32) >= self.thresholds(predicted))

    @property
    def void(self) -> bool:
        """Whether a promise was asked for and some line could not be certified."""
        return any(line.certified is False for line in self.lines)

    def __str__(self) -> str:
        on = [line.threshold for line in self.lines]
        where = f"{min(on):.3f}" if len(on) == 1 else f"{min(on):.3f} to {max(on):.3f}"
        idle = self.policy.kind == "budget" and any(line.why for line in self.lines)
        but = "; the guarantee is void" if self.void else "; no calibration image reaches it" if idle else ""
        return f"flagged from {where} on ({self.policy}{but})"

    def notes(self, classes: Sequence[str]) -> list[str]:
        """Say which promises are void, and why."""
        return [f"{_named(line, classes)}{line.why}" for line in self.lines if line.why]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        lines = [asdict(line) | {"classes": list(line.classes)} for line in self.lines]
        return {"policy": asdict(self.policy), "lines": lines}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Undo `to_dict`."""
        try:
            lines = tuple(Line(**{**line, "classes": tuple(line["classes"])}) for line in saved["lines"])
            return cls(Policy(**saved["policy"]).checked(), lines)
        except (KeyError, TypeError, InputError) as error:
            raise ArtifactError(f"the saved policy is damaged: {error}; fit the screener again") from error


def _named(line: Line, classes: Sequence[str]) -> str:
    names = [classes[k] for k in line.classes]
    few = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{few}: " if names else ""


def decide(policy: Policy, rows: HeldOut) -> Decision:
    """Decide a policy on calibration rows.

    Raises CalibrationError for thresholds per class where a prediction has no single class.

    With four rows a budget of a half flags the upper two:

    >>> from uncertainty.combination.mixture import Signals
    >>> yes, zero = np.ones(4, dtype=bool), np.zeros(4, dtype=np.int64)
    >>> signals = Signals(np.zeros((4, 0)), np.zeros((4, 0)), zero)
    >>> rows = HeldOut(np.array([0.1, 0.2, 0.5, 0.75]), np.ones(4), ~yes, zero, np.arange(4), ~yes, signals)
    >>> decide(Policy.of(budget=0.5), rows).lines
    (Line(threshold=0.5, support=4, classes=(), certified=None, why=''),)
    """
    if policy.kind == "threshold" or policy.kind == "costs":
        # Flagging costs a review, passing costs p_wrong misses: the line is where both are equal.
        return Decision(policy, (Line(float(np.float32(policy.target)), int(rows.exact.sum())),))
    promise = policy.kind in PROMISES
    counted = rows.take(rows.exact) if promise else rows
    if not policy.per_class:
        return Decision(policy, (_line(policy, _independent(policy, counted)),))
    if (rows.predicted < 0).any():
        raise CalibrationError(
            "per_class needs one predicted class an image; where there are several labels say per_decision too"
        )
    groups = _groups(policy, counted)
    each = policy
    if policy.confidence:
        each = replace(policy, confidence=shares_of_confidence(policy.confidence, groups))
    of_group = [_independent(policy, counted.take(np.isin(counted.predicted, group))) for group in groups]
    return Decision(
        policy, tuple(replace(_line(each, part), classes=g) for g, part in zip(groups, of_group, strict=True))
    )


def _independent(policy: Policy, rows: HeldOut) -> HeldOut:
    """Of rows that a promise is counted on, those that are independent of each other."""
    return rows.take(rows.independent) if policy.confidence else rows


def _groups(policy: Policy, rows: HeldOut) -> list[tuple[int, ...]]:
    """Classes with enough support each, the others together; chosen without looking at what is certified."""
    enough = _FEW_ROWS
    if policy.confidence:
        strictest = shares_of_confidence(policy.confidence, np.unique(rows.predicted).tolist())
        enough = _ROOM * rows_needed(_share_allowed(policy), strictest)
    counts = rows.wrong if policy.kind == "min_recall" else np.ones(len(rows), dtype=bool)
    if policy.confidence and rows.clusters is not None:
        # Of each group and class one row counts.
        first = np.unique(np.stack([rows.clusters, rows.predicted]), axis=1, return_index=True)[1]
        counts = counts & np.isin(np.arange(len(rows)), first)
    return pooled(rows.predicted, counts, enough)


def _share_allowed(policy: Policy) -> float:
    return policy.target if policy.kind == "max_error" else 1 - policy.target


def _line(policy: Policy, rows: HeldOut) -> Line:
    if policy.kind == "budget":
        return _budget(policy, rows)
    decided = {"min_recall": _recall, "max_error": _error, "min_precision": _precision}[policy.kind](policy, rows)
    return decided if policy.confidence else replace(decided, certified=None)


def _budget(policy: Policy, rows: HeldOut) -> Line:
    threshold = budget_threshold(rows.p_wrong, rows.weights, policy.target)
    nothing = policy.target > 0 and not (rows.p_wrong >= np.float32(threshold)).any()
    return Line(threshold, len(rows), why=_nothing_fits(policy, rows) if nothing else "")


def _nothing_fits(policy: Policy, rows: HeldOut) -> str:
    """Say why a budget flags nothing: a single row is more than it, or too many rows are alike."""
    nothing, n = "nothing can be flagged within the budget", int(rows.clean.sum())
    if n * policy.target < 1:
        return (
            f"{nothing}: {percent(policy.target)} of {n} calibration rows is less than one; give "
            f"{math.ceil(1 / policy.target - 1e-9)} or more"
        )
    return f"{nothing}: too many calibration rows share the largest p_wrong"


def _recall(policy: Policy, rows: HeldOut) -> Line:
    errors = np.sort(rows.p_wrong[rows.wrong])
    n = len(errors)
    if not n:
        return Line(
            EVERYTHING, 0, certified=False, why="insufficient support: calibration has no errors; all is flagged"
        )
    if not policy.confidence:
        return Line(float(errors[int((1 - policy.target) * n + 1e-9)]), n)
    if not (first := missable(n, policy.target, policy.confidence)):
        needed = rows_needed(1 - policy.target, policy.confidence)
        return Line(EVERYTHING, n, certified=False, why=_too_few(needed, f"errors{_apart(rows)}", policy, n))
    return Line(float(errors[first - 1]), n, certified=True)


def _error(policy: Policy, rows: HeldOut) -> Line:
    """Accept from the surest on; the threshold is the lowest p_wrong that is not accepted."""
    accepted, why = _accepted(
        policy, rows.p_wrong.astype(np.float64), rows.wrong, f"error-free images{_apart(rows)}", "all is flagged"
    )
    ordered = np.sort(rows.p_wrong)
    threshold = EVERYTHING if not accepted else NOTHING if accepted == len(ordered) else float(ordered[accepted])
    return Line(threshold, len(rows), certified=accepted > 0, why=why)


def _precision(policy: Policy, rows: HeldOut) -> Line:
    """The mirror image: flag from the most suspicious on, and a row is bad where it is right after all."""
    chance = 1 - rows.p_wrong.astype(np.float64)
    flagged, why = _accepted(
        policy, chance, ~rows.wrong, f"images{_apart(rows)}, all of them errors,", "nothing is flagged"
    )
    ordered = np.sort(rows.p_wrong)[::-1]
    threshold = NOTHING if not flagged else EVERYTHING if flagged == len(ordered) else just_above(ordered[flagged])
    return Line(threshold, len(rows), certified=flagged > 0, why=why)


def _apart(rows: HeldOut) -> str:
    return "" if rows.clusters is None else " of different groups"


def _accepted(
    policy: Policy, chance: NDArray[np.float64], bad: NDArray[np.bool_], what: str, so: str
) -> tuple[int, str]:
    allowed = _share_allowed(policy)
    if not policy.confidence:
        accepted = risk_on_curve(chance, bad, allowed)
        return accepted, "" if accepted else f"insufficient support: no threshold reaches it on calibration; {so}"
    found = certify(chance, bad, allowed, policy.confidence, policy.method)
    if found.accepted:
        return found.accepted, ""
    if not found.started:
        return 0, _too_few(found.needed, what, policy, len(bad), so)
    wrong = (
        f"of the {found.started} images where {percent(policy.target)} is likeliest to hold, {found.started_bad} are "
    )
    side = "wrong" if policy.kind == "max_error" else "right after all"
    return 0, f"the guarantee is void: {wrong}{side}, too many to certify it; {so}"


def _too_few(needed: int, what: str, policy: Policy, have: int, so: str = "all is flagged") -> str:
    sure = f"at {100 * policy.confidence:.4g} % confidence"
    return (
        f"insufficient support, the guarantee is void: {needed} {what} are needed for {percent(policy.target)} {sure}, "
        f"you have {have}; {so}"
    )
