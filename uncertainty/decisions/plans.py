"""What a policy would do to images like calibration, before it does: counted on the rows it was decided on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, Line
from uncertainty.figures import number_of
from uncertainty.metrics.intervals import Groups, share_interval


@dataclass(frozen=True)
class Share:
    """`hits` of `rows`, with the 95 % Clopper-Pearson interval; without rows nothing is known: 0 to 1, value None.

    Of rows in groups the interval is that of fewer rows, see `metrics.intervals`. `low` and `high` are None for what a
    promise is about where these rows certified it: only lucky ones may have, and then no interval around them holds.
    """

    hits: int
    rows: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, hits: NDArray[np.bool_], groups: Groups = None) -> Self:
        """Count hits (n,), in groups (n,) where rows belong together.

        >>> Share.of(np.array([True, False])).value, Share.of(np.array([], dtype=bool)).value
        (0.5, None)
        """
        count, rows = int(hits.sum()), len(hits)
        if not rows:
            return cls(0, 0, None, 0.0, 1.0)
        found = share_interval(hits, groups)
        return cls(count, rows, found.value, found.low, found.high)

    def __str__(self) -> str:
        if self.value is None:
            return "can't be said"
        if self.low is None or self.high is None:
            return f"{self.value:.1%} (no interval: what is promised holds, and these images chose the threshold)"
        return f"{self.value:.1%} (95 % interval {self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class PlanLine:
    """What happens to images predicted to be of some classes (all, where `classes` is empty).

    `flagged` of all images, `caught` of the errors, `left` wrong of the images that are not flagged, `precision` wrong
    of those that are.
    """

    classes: tuple[str, ...]
    threshold: float | None
    certified: bool | None
    flagged: Share
    caught: Share
    left: Share
    precision: Share


@dataclass(frozen=True, repr=False)
class Plan(Brief):
    """The whole and, with thresholds for each class, each part; `notes` say which promises are void and why.

    Counted on `images` clean calibration rows whose p_wrong was said without having seen them. `expected_flagged` is
    the flagged share of the declared mixture of clean, damaged and foreign images. Where labels chose the threshold,
    the same labels flatter what is counted a little; a promise that is certified holds none the less. `groups` of them
    belong together, such as frames of a film; None where nobody said so.
    """

    policy: str
    images: int
    errors: int
    whole: PlanLine
    parts: tuple[PlanLine, ...]
    expected_flagged: float
    cost: dict[str, float]
    notes: tuple[str, ...]
    groups: int | None = None
    decisions: bool = False
    """Whether single decisions are counted, and groups are the images they are of, and not images."""

    def _facts(self) -> dict[str, Any]:
        told = {"policy": self.policy, "images": self.images, "errors": self.errors}
        parts = {name: str(getattr(self.whole, name)) for name in ("flagged", "caught", "left")}
        return told | parts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, strings and dictionaries."""
        return asdict(self)

    def __str__(self) -> str:
        of = "images" if self.decisions else "groups"
        of_groups = "" if self.groups is None else f" of {self.groups} {of}"
        what = "decision" if self.decisions else "calibration image"
        rows = f"{number_of(self.images, what)}{of_groups} with {number_of(self.errors, 'error')}"
        lines = [f"plan: {self.policy}", f"on {rows}:"]
        lines += _described(self.whole)
        for part in self.parts:
            which = "decisions on" if self.decisions else "predicted"
            lines += [f"  {which} {', '.join(part.classes)}:", *("  " + text for text in _described(part))]
        if abs(self.expected_flagged - (self.whole.flagged.value or 0)) > 1e-4:
            lines.append(
                f"  with the damaged and unknown images that are expected, {self.expected_flagged:.1%} flagged"
            )
        if self.cost:
            lines.append("  cost of an image: " + ", ".join(f"{value:.4g} {name}" for name, value in self.cost.items()))
        return "\n".join([*lines, *(f"warning: {note}" for note in self.notes)])


def _described(line: PlanLine) -> list[str]:
    promise = {True: ", certified", False: ", NOT certified", None: ""}[line.certified]
    at = "" if line.threshold is None else f" from p_wrong {line.threshold:.4f} on{promise}"
    return [
        f"  flagged       {line.flagged}{at}",
        f"  errors caught {line.caught}",
        f"  error left    {line.left} of what is not flagged",
        f"  flags right   {line.precision} of what is flagged",
    ]


def plan(decision: Decision, rows: HeldOut, classes: Sequence[str]) -> Plan:
    """Count what a decision does to the calibration rows; `classes` are their names."""
    flagged = decision.flags(rows.p_wrong, rows.predicted)
    exact = rows.take(rows.exact)
    hit = flagged[rows.exact]
    single = decision.lines[0] if not decision.policy.per_class else None
    kind = decision.policy.kind
    parts = [] if single else [_part(line, exact, hit, classes, kind) for line in decision.lines]
    whole = _counted(single, (), exact, hit)
    if any(line.certified for line in decision.lines):
        whole = _without_interval(whole, kind)
    weights = rows.weights.astype(np.float64)
    return Plan(
        policy=str(decision.policy),
        images=len(exact),
        errors=int(exact.wrong.sum()),
        whole=whole,
        parts=tuple(parts),
        expected_flagged=float(weights @ flagged / max(weights.sum(), 1e-12)),
        cost=_costs(decision, exact.wrong, hit),
        notes=tuple(decision.notes(classes)),
        groups=None if exact.clusters is None else len(np.unique(exact.clusters)),
        decisions=decision.policy.per_decision,
    )


def _part(line: Line, rows: HeldOut, flagged: NDArray[np.bool_], classes: Sequence[str], kind: str) -> PlanLine:
    own = np.isin(rows.predicted, line.classes)
    found = _counted(line, tuple(classes[k] for k in line.classes), rows.take(own), flagged[own])
    return _without_interval(found, kind) if line.certified else found


def _without_interval(found: PlanLine, kind: str) -> PlanLine:
    """Take the interval from what a certified promise is about."""
    about = {"max_error": "left", "min_recall": "caught", "min_precision": "precision"}.get(kind)
    if about is None:
        return found
    withheld: dict[str, Any] = {about: replace(getattr(found, about), low=None, high=None)}
    return replace(found, **withheld)


def _counted(line: Line | None, classes: tuple[str, ...], rows: HeldOut, flagged: NDArray[np.bool_]) -> PlanLine:
    wrong, of = rows.wrong, rows.clusters

    def share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Share:
        return Share.of(hits[among], None if of is None else of[among])

    return PlanLine(
        classes=classes,
        threshold=None if line is None else line.threshold,
        certified=None if line is None else line.certified,
        flagged=Share.of(flagged, of),
        caught=share(flagged, wrong),
        left=share(wrong, ~flagged),
        precision=share(wrong, flagged),
    )


def _costs(decision: Decision, wrong: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> dict[str, float]:
    miss, review = decision.policy.cost_miss, decision.policy.cost_review
    if miss is None or review is None or not len(wrong):
        return {}
    missed = miss * float((wrong & ~flagged).mean()) + review * float(flagged.mean())
    return {"with these flags": missed, "if all were reviewed": review, "if none were": miss * float(wrong.mean())}
