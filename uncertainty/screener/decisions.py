"""What a screener knows of single decisions, where images have several labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.decision_experts import DecisionExperts
from uncertainty.combination.decision_fit import DecisionEvidence, first_sight, learnt_decisions
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import Combination
from uncertainty.combination.suggested_sets import INDEPENDENT, SuggestedSets
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, decide
from uncertainty.decisions.decision_rows import DecisionRows
from uncertainty.decisions.each_decision import as_rows
from uncertainty.decisions.policies import Policy
from uncertainty.errors import ArtifactError, InputError
from uncertainty.screener.cascade import Cascade, decided


@dataclass(frozen=True, eq=False)
class Decisions:
    """What judges decisions by all evidence, and at first sight of a cascade; and calibration, judged by the first.

    `sets` says how probable it is that a suggested set of labels is right.
    """

    experts: DecisionExperts
    at_first_sight: DecisionExperts | None
    rows: DecisionRows
    sets: SuggestedSets = INDEPENDENT

    @classmethod
    def fit(
        cls,
        seen: tuple[DecisionEvidence, DecisionEvidence | None],
        rows: Evidence,
        learnt: Combination,
        certifying: NDArray[np.bool_],
        cascade: Cascade | None,
        seed: int = 0,
    ) -> Self:
        """Learn from the rows that a combination was learnt from, `seen` by all evidence and by that at first sight."""
        whole, cheap = seen
        experts, p_wrong = learnt_decisions(rows, whole, learnt, certifying, seed)
        kept = DecisionRows(p_wrong, whole.wrong, whole.said)
        first = None
        if cascade is not None and cheap is not None:
            first = first_sight(rows, cheap, cascade.combiner, ~certifying, seed)
        return cls(experts, first, kept, sets_of(kept, rows.rows("clean"), rows.weights))

    def with_rows(self, more: DecisionRows, clean: NDArray[np.bool_], weights: NDArray[np.floating]) -> Self:
        """Return the same with rows labelled later behind those there are; `clean` and `weights` are of all of them."""
        rows = self.rows.joined(more)
        return replace(self, rows=rows, sets=sets_of(rows, clean, weights))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `rows` are arrays and saved beside them."""
        first = self.at_first_sight
        return {
            "experts": self.experts.to_dict(),
            "at_first_sight": None if first is None else first.to_dict(),
            "sets": self.sets.to_dict(),
        }

    @classmethod
    def restored(cls, saved: dict[str, Any] | None, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """Undo `to_dict`; the rows are among the arrays of the saved screener."""
        if saved is None:
            return None
        if (rows := DecisionRows.from_arrays(arrays)) is None:
            raise ArtifactError("the saved decisions have no rows; fit the screener again")
        first = saved.get("at_first_sight")
        experts = DecisionExperts.from_dict(saved.get("experts", {}))
        sets = SuggestedSets.from_dict(saved.get("sets", {}))
        return cls(experts, None if first is None else DecisionExperts.from_dict(first), rows, sets)


def sets_of(rows: DecisionRows, clean: NDArray[np.bool_], weights: NDArray[np.floating]) -> SuggestedSets:
    """Learn how probable suggested sets are from calibration as it came, without its copies."""
    return SuggestedSets.fit(rows.p_wrong[clean], rows.wrong[clean], weights[clean])


def decided_by(
    policy: Policy, rows: HeldOut, cascade: Cascade | None, decisions: Decisions | None
) -> tuple[Decision, HeldOut, Cascade | None]:
    """Decide a policy on calibration images, or on their single decisions where it is about those.

    Raises InputError for one on decisions where an image has one label, and in a cascade, whose policy says which
    images are looked at more deeply.
    """
    if not policy.per_decision:
        return decided(policy, rows, cascade)
    if cascade is not None:
        raise InputError("a cascade looks deeper by p_wrong of the image; fit without --cascade to flag decisions")
    return decide(policy, _each(rows, decisions)), rows, None


def decided_on(decision: Decision, rows: HeldOut, decisions: Decisions | None) -> HeldOut:
    """Return the rows that a decision was made on: calibration images, or their single decisions."""
    return _each(rows, decisions) if decision.policy.per_decision else rows


def _each(rows: HeldOut, decisions: Decisions | None) -> HeldOut:
    if decisions is None:
        raise InputError("per_decision is about several labels an image, and these images have one; leave it out")
    told = decisions.rows
    return as_rows(rows, told.p_wrong, told.wrong == 1, told.known)
