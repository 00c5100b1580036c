"""How the probabilities of single decisions are learnt from calibration rows, each judged by experts without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.decision_experts import DecisionExperts, lift, shares
from uncertainty.combination.evidence import FoldFitted
from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.fit import Combination
from uncertainty.combination.mixture import Floats, Mixture, Signals, expit, logit
from uncertainty.estimators._probabilities import decision_risks
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs

_MOST = 400_000
"""Decisions that experts are learnt from: of more images some are left out, at random."""


@dataclass(frozen=True, eq=False)
class DecisionEvidence:
    """What is known of the decisions of all rows of an `Evidence`: (n, c) each, see `DecisionExperts.fit`."""

    log_odds: Floats
    wrong: NDArray[np.int8]
    said: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        estimators: Sequence[Estimator],
        calibration: ModelOutputs,
        copies: Sequence[ModelOutputs | None],
        rows: Evidence,
        kept_back: NDArray[np.bool_],
        seed: int,
    ) -> DecisionEvidence:
        """Judge the decisions of calibration rows and their copies, each by what did not learn from it."""
        present = [rows.rows(c).any() for c in CONDITIONS]
        parts = [
            part for part, there in zip((calibration, *copies), present, strict=True) if part is not None and there
        ]
        judge = judge_of(estimators)
        folded = None if judge is None else FoldFitted.on(judge, calibration, ~kept_back, seed)
        starts = np.cumsum([0, *map(len, parts)])
        log_odds = [
            decision_log_odds(None, part)
            if folded is None
            else folded.each(part, rows.groups[start : start + len(part)], lambda e, some: e.decision_log_odds(some))
            for part, start in zip(parts, starts, strict=False)
        ]
        return cls(
            np.concatenate(log_odds),
            np.concatenate([np.where(part.known, part.wrong_decisions, -1).astype(np.int8) for part in parts]),
            np.concatenate([part.predictions == 1 for part in parts]),
        )

    def experts(self, rows: Evidence, used: NDArray[np.bool_], like: Mixture, seed: int) -> DecisionExperts:
        """Learn from the rows of a mask, for those conditions that the image's mixture has experts for."""
        every = {c: np.flatnonzero(used & rows.rows(c)) for c in like.experts}
        most = max(1, _MOST // self.log_odds.shape[1])
        chosen = {c: np.zeros(len(used), dtype=bool) for c in every}
        for c, own in every.items():
            chosen[c][np.random.default_rng([seed, 16]).permutation(own)[:most]] = True
        if not chosen["clean"].any():
            chosen["clean"] = rows.rows("clean")
        return DecisionExperts.fit(self.log_odds, self.wrong, chosen, rows.weights)

    def lift(self, rows: Evidence, p_wrong: Floats, most: Floats, used: NDArray[np.bool_]) -> float:
        """Return what the limit of the image takes away from clean rows of a mask, see `decision_experts.lift`."""
        own = used & rows.rows("clean")
        return lift(p_wrong[own], most[own], self.wrong[own], rows.weights[own])


def judge_of(estimators: Sequence[Estimator]) -> Estimator | None:
    """Return the estimator that judges single decisions, where there is one."""
    return next((e for e in estimators if e.posterior and "multilabel" in e.tasks), None)


def decision_log_odds(judge: Estimator | None, outputs: ModelOutputs) -> Floats:
    """Return (n, c) the log-odds that each decision is wrong: of the judge, without one of the classifier itself.

    >>> outputs = ModelOutputs(ids=["a"], logits=[[2.0, -3.0]], task="multilabel")
    >>> decision_log_odds(None, outputs).round(3).tolist()
    [[-2.0, -3.0]]
    """
    if judge is not None:
        return judge.decision_log_odds(outputs)
    return logit(decision_risks(outputs))


def decision_p_wrong(
    experts: DecisionExperts, combiner: Mixture, evidence: tuple[Floats, NDArray[np.bool_]], signals: Signals
) -> Floats:
    """Return (n, c) p_wrong of each decision, at most that of the image; `evidence`: log-odds, and what is said."""
    each, most = _with_limit(experts, combiner, evidence, signals)
    return np.minimum(each, most[:, None])


def _with_limit(
    experts: DecisionExperts, combiner: Mixture, evidence: tuple[Floats, NDArray[np.bool_]], signals: Signals
) -> tuple[Floats, Floats]:
    odds, _ = combiner.conditions(signals)
    return experts.p_wrong(*evidence, shares(odds, ["clean", *combiner.gates])), combiner.p_wrong(signals)


def learnt_decisions(
    rows: Evidence, decisions: DecisionEvidence, learnt: Combination, certifying: NDArray[np.bool_], seed: int
) -> tuple[DecisionExperts, NDArray[np.float32]]:
    """Return experts, and p_wrong (n, c) of each decision from experts and a mixture without its row.

    Rows kept back are judged by the final ones, which never saw them.
    """
    fold = np.full(len(rows.wrong), -1)
    fold[~certifying] = learnt.folds
    final = decisions.experts(rows, ~certifying, learnt.combiner, seed)
    each, most = np.empty(decisions.log_odds.shape), np.empty(len(fold))
    for k, mixture in enumerate((learnt.combiner, *learnt.without), start=-1):
        own = fold == k
        if own.any():
            experts = final if k < 0 else decisions.experts(rows, ~certifying & ~own, mixture, seed)
            evidence = decisions.log_odds[own], decisions.said[own]
            each[own], most[own] = _with_limit(experts, mixture, evidence, rows.signals.take(own))

    def lifted(without: int) -> float:
        return decisions.lift(rows, each, most, ~certifying & (fold != without))

    by = np.array([lifted(k) for k in (*range(len(learnt.without)), -1)])  # what was kept back is in fold -1
    p_wrong = np.minimum(expit(logit(each) + by[fold][:, None]), most[:, None])
    return final.raised(by[-1]), p_wrong.astype(np.float32)


def first_sight(
    rows: Evidence, decisions: DecisionEvidence, combiner: Mixture, used: NDArray[np.bool_], seed: int
) -> DecisionExperts:
    """Return the experts that judge decisions at first sight of a cascade, by what is known there."""
    experts = decisions.experts(rows, used, combiner, seed)
    signals = rows.only(np.isin(rows.names, combiner.names)).signals
    each, most = _with_limit(experts, combiner, (decisions.log_odds, decisions.said), signals)
    return experts.raised(decisions.lift(rows, each, most, used))
