"""What a screener says without running a classifier: p_wrong of outputs, and what a policy makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence import signals
from uncertainty.decisions.plans import Plan, plan
from uncertainty.decisions.policies import Policy
from uncertainty.decisions.single_image import Answer, answers, answers_of_decisions
from uncertainty.errors import InputError
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import fit
from uncertainty.screener.decisions import decided_by, decided_on
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.verdict_rows import Judges


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Judge(Fitted):
    """What was fitted, put to questions; `Screener` is this with a classifier."""

    def with_policy(self, policy: Policy) -> Self:
        """Return the same screener with the thresholds that answer another question, decided on the same rows."""
        decision, calibration, cascade = decided_by(policy, self.calibration, self.cascade, self.decisions)
        own = self.decision.notes(self.model.classes)
        notes = [note for note in self.notes if note not in own] + decision.notes(self.model.classes)
        now = replace(self, decision=decision, calibration=calibration, cascade=cascade, notes=tuple(notes))
        return replace(now, history=(*self.history, self.decision.to_dict()))

    def with_budget(self, budget: float) -> Self:
        """Return the same screener with the threshold that flags at most `budget` of the calibration weight."""
        return self.with_policy(Policy.of(budget=budget))

    def plan(self, policy: Policy | None = None) -> Plan:
        """Return what a policy (the present one) does to images like calibration, with intervals."""
        asked = self if policy is None else self.with_policy(policy)
        return plan(asked.decision, decided_on(asked.decision, asked.calibration, self.decisions), self.model.classes)

    def explain(self, outputs: ModelOutputs) -> list[Answer]:
        """Say of each row why it is flagged or not, and what that rests on; one image: `explain(outputs[3])[0]`.

        Of a policy on decisions, of that decision of each row which is farthest above its line, or least below.
        """
        if not self.decision.policy.per_decision:
            return answers(outputs, self.p_wrong(outputs), self.decision, self.calibration, self.model.classes)
        rows = decided_on(self.decision, self.calibration, self.decisions)
        return answers_of_decisions(outputs, self.p_wrong_decisions(outputs), self.decision, rows, self.model.classes)

    @property
    def threshold(self) -> float:
        """From which p_wrong on an image is flagged; NaN where each class has its own, or decisions are flagged."""
        policy = self.decision.policy
        return math.nan if policy.per_class or policy.per_decision else self.decision.lines[0].threshold

    @property
    def budget(self) -> float:
        """The share to flag; NaN where the policy is another one."""
        return self.decision.policy.target if self.decision.policy.kind == "budget" else math.nan

    def describe(self) -> str:
        """Return, in one sentence, what p_wrong was calibrated on and from where on an image is flagged."""
        return f"p_wrong was calibrated on {fit.in_words(self.calibrated_on)}; {self.decision}" + (
            f"; {self.cascade.describe()}" if self.cascade else ""
        )

    def p_wrong(self, outputs: ModelOutputs) -> NDArray[np.float32]:
        """Return (n,) float32 in 0..1, higher = more likely wrong; each row on its own."""
        self.model.check(outputs)
        if self.cascade is not None:
            return self.cascade.p_wrong_of(outputs, self.estimators, self.combiner)
        return self.combiner.p_wrong(signals(self.estimators, outputs)).astype(np.float32)

    def p_wrong_decisions(self, outputs: ModelOutputs) -> NDArray[np.float32]:
        """Return (n, c) float32 in 0..1, p_wrong of each decision by all evidence.

        Raises InputError where an image has one label.
        """
        self.model.check(outputs)
        experts = None if self.decisions is None else self.decisions.experts
        judges = Judges(self.estimators, self.combiner, experts)
        _, found = judges.look(outputs)
        if found is None:
            raise InputError("an image has one label here, and so one decision; see p_wrong")
        return found.p_wrong
