"""From what is known of a batch of images to its verdict rows, in the order of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.class_columns import decision_columns, probability_columns
from uncertainty.classifiers.base import Batch
from uncertainty.combination.decision_experts import DecisionExperts
from uncertainty.combination.decision_fit import decision_log_odds, decision_p_wrong, judge_of
from uncertainty.combination.evidence import signals
from uncertainty.combination.mixture import Mixture, Signals
from uncertainty.combination.suggested_sets import INDEPENDENT, SuggestedSets, turned
from uncertainty.decisions.decide import Decision
from uncertainty.decisions.each_decision import flagged_labels, flags_of_decisions
from uncertainty.estimators.base import Estimator
from uncertainty.estimators.fused_decisions import FusedDecisions, some_wrong
from uncertainty.images.label_text import JOINT, NO_LABEL
from uncertainty.images.quality import QUALITY_NAMES, USUAL
from uncertainty.monitoring.adapted_decisions import LOG_ODDS
from uncertainty.outputs import ModelOutputs, probs_from_logits
from uncertainty.screener.cascade import effort_of
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.reasons import NOTHING_LEARNT, Telling, reasons
from uncertainty.verdicts import FLAGGED_LABELS, QUALITY, SUGGESTED

if TYPE_CHECKING:
    import pyarrow as pa

DEEPER_LOOK_FAILED = "deeper_look_failed"
"""Among the reasons of a row, flagged or not, that the first look was in doubt about and a deeper one failed on."""
OTHERWISE = "other_reasons"
"""The reasons that a row would have if its flag were the other one: for another policy, that needs no network then."""


class SeenDecisions(NamedTuple):
    """Decisions of n images: `log_odds` (n, c) that each is wrong, and what experts make of them, `p_wrong` (n, c)."""

    log_odds: NDArray[np.float32]
    p_wrong: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judges:
    """Fitted estimators, what combines them, and of several labels what judges single decisions."""

    estimators: Sequence[Estimator]
    combiner: Mixture
    experts: DecisionExperts | None = None
    sets: SuggestedSets = INDEPENDENT

    def look(self, outputs: ModelOutputs) -> tuple[Signals, SeenDecisions | None]:
        """Return what is known of n rows, and of their decisions; None where an image has one label.

        What judges decisions looks once for both.
        """
        if self.experts is None:
            return signals(self.estimators, outputs), None
        judge = judge_of(self.estimators)
        log_odds = decision_log_odds(judge, outputs)
        scored = (judge, some_wrong(log_odds)) if isinstance(judge, FusedDecisions) else None
        known = signals(self.estimators, outputs, scored)
        evidence = log_odds, outputs.predictions == 1
        p_wrong = decision_p_wrong(self.experts, self.combiner, evidence, known)
        return known, SeenDecisions(log_odds.astype(np.float32), p_wrong.astype(np.float32))


def judged(
    outputs: ModelOutputs,
    judges: Judges,
    classes: Sequence[str],
    decision: Decision,
    dear: Sequence[str] = (),
    telling: Telling = NOTHING_LEARNT,
) -> dict[str, list[Any]]:
    """Return the columns of a verdict table that come from the outputs, one value a row.

    `dear` are columns that a deeper look alone has, `telling` what is known of the words in reasons. Everything is
    compared in float32, as it is stored, so that `flagged` is what the stored columns say.
    """
    estimators, combiner = judges.estimators, judges.combiner
    known, decisions = judges.look(outputs)
    of_decisions = None if decisions is None else decisions.p_wrong
    p_wrong = combiner.p_wrong(known).astype(np.float32)
    flags = _flags(decision, p_wrong, known.predicted, of_decisions, classes)
    flagged = flags["flagged"]
    told = reasons(outputs, known, (estimators, combiner), telling)
    views = 0 if outputs.tta_probs is None else outputs.tta_probs.shape[1]
    effort = effort_of({column for e in estimators for column in e.reads}, dear, views)
    columns = {
        **_prediction(outputs, classes),
        **_suggestion(outputs, judges, of_decisions, classes),
        "p_wrong": p_wrong,
        **flags,
        "reasons": [whole if flag else image for whole, image, flag in zip(*told, flagged, strict=True)],
        OTHERWISE: [image if flag else whole for whole, image, flag in zip(*told, flagged, strict=True)],
        "effort": [effort] * len(outputs),
        **{f"est_{e.name}": known.scores[:, k] for k, e in enumerate(estimators)},
        **_quality(outputs),
        **probability_columns(classes, outputs.probs),
        **({} if decisions is None else decision_columns(classes, decisions.p_wrong) | {LOG_ODDS: decisions.log_odds}),
    }
    return {name: list(column) for name, column in columns.items()}


def _flags(
    decision: Decision,
    p_wrong: NDArray[np.float32],
    predicted: NDArray[np.int64],
    of_decisions: NDArray[np.float32] | None,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return what is flagged and from where on; of a policy on decisions the labels, and no line of the image."""
    if not decision.policy.per_decision or of_decisions is None:
        thresholds = decision.thresholds(predicted)
        return {"flagged": (p_wrong >= thresholds).tolist(), "threshold": thresholds}
    flags = flags_of_decisions(decision, of_decisions)
    named = flagged_labels(flags, classes)
    return {"flagged": flags.any(axis=1).tolist(), "threshold": [None] * len(flags), FLAGGED_LABELS: named}


def _quality(outputs: ModelOutputs) -> dict[str, NDArray[Any]]:
    if outputs.quality is None or outputs.quality.shape[1] < len(USUAL):
        return {}
    return {f"{QUALITY}{name}": column for name, column in zip(QUALITY_NAMES, outputs.quality.T, strict=False)}


def judged_by_effort(
    outputs: ModelOutputs,
    deeper: ModelOutputs | None,
    fitted: Fitted,
) -> dict[str, list[Any]]:
    """Return what `judged` does; in a cascade, by all estimators for `deeper` and by the cheap ones for the others."""
    cascade, decisions = fitted.cascade, fitted.decisions
    classes, decision = fitted.model.classes, fitted.decision
    sets = INDEPENDENT if decisions is None else decisions.sets
    full = Judges(fitted.estimators, fitted.combiner, None if decisions is None else decisions.experts, sets)
    if cascade is None:
        return judged(outputs, full, classes, decision, telling=fitted.telling)
    cheap = Judges(
        cascade.cheap(fitted.estimators),
        cascade.combiner,
        None if decisions is None else decisions.at_first_sight,
        sets,
    )
    # What is common among all evidence says nothing of the first look's.
    first = judged(outputs, cheap, classes, decision, telling=Telling(fitted.telling.image))
    if deeper is None or not len(deeper):
        return first
    second = judged(deeper, full, classes, decision, cascade.columns, fitted.telling)
    place = {str(name): row for row, name in enumerate(outputs.ids)}
    return replaced(first, [place[str(name)] for name in deeper.ids], second)


def kept_beside(fitted: Fitted) -> list[pa.Field]:
    """Return the columns that are kept beside verdicts, by name and type.

    `other_reasons`, those that a row would have if its flag were the other one, and of several labels an image
    `decision_log_odds`, from which follows what p_wrong of its decisions is in a batch as it is.
    """
    import pyarrow as pa

    columns = [pa.field(OTHERWISE, pa.list_(pa.string()))]
    return columns if fitted.decisions is None else [*columns, pa.field(LOG_ODDS, pa.list_(pa.float32()))]


def replaced(first: Mapping[str, list[Any]], rows: Sequence[int], by: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Put the rows of a deeper look in place of the first judgement; what the first look could not tell is None.

    >>> replaced({"p": [0.1, 0.2]}, [1], {"p": [0.9], "est_x": [3.0]})
    {'p': [0.1, 0.9], 'est_x': [None, 3.0]}
    """
    n = len(next(iter(first.values())))
    columns = {
        name: list(first.get(name, [None] * n)) for name in [*first, *(name for name in by if name not in first)]
    }
    for name, values in by.items():
        for row, value in zip(rows, values, strict=True):
            columns[name][row] = value
    return columns


def _prediction(outputs: ModelOutputs, classes: Sequence[str]) -> dict[str, Any]:
    """Name the predicted class; multilabel: all predicted labels, and the probability of the least sure decision."""
    probs = outputs.probs
    if outputs.task == "multiclass":
        return {
            "predicted_label": [classes[int(k)] for k in outputs.predictions],
            "predicted_index": outputs.predictions,
            "confidence": probs.max(axis=1),
        }
    chosen = outputs.predictions.astype(bool)
    return {
        "predicted_label": [";".join(name for name, on in zip(classes, row, strict=True) if on) for row in chosen],
        "predicted_index": [None] * len(chosen),
        "confidence": np.where(chosen, probs, 1 - probs).min(axis=1),
    }


def _suggestion(
    outputs: ModelOutputs, judges: Judges, of_decisions: NDArray[np.float32] | None, classes: Sequence[str]
) -> dict[str, list[str | float | None]]:
    """Name what is likelier by all evidence where it is not the prediction, which stays what it is.

    The likeliest class, or of several labels the set with every answer turned that is likelier wrong than right.
    """
    posterior = next((e for e in judges.estimators if e.posterior), None)
    if posterior is None or (outputs.task == "multilabel" and of_decisions is None):
        return {}
    if of_decisions is not None:
        return suggested_sets(outputs.predictions == 1, of_decisions, judges.sets, classes)
    logs = posterior.posterior_logs(outputs)
    best = logs.argmax(axis=1)
    probability = probs_from_logits(logs)[np.arange(len(best)), best]
    differs = best != outputs.predictions
    label, sure = SUGGESTED
    return {
        label: [classes[int(k)] if other else None for k, other in zip(best, differs, strict=True)],
        sure: [float(p) if other else None for p, other in zip(probability, differs, strict=True)],
    }


def suggested_sets(
    said: NDArray[np.bool_], p_wrong: NDArray[np.float32], sets: SuggestedSets, classes: Sequence[str]
) -> dict[str, list[str | float | None]]:
    """Name the set with every answer turned that is likelier wrong than right, of what is `said` (n, c) to be there."""
    other = turned(p_wrong)
    differs: list[bool] = np.asarray(other.any(axis=1)).tolist()
    chosen = said ^ other
    none = NO_LABEL if NO_LABEL not in classes else JOINT
    names = [JOINT.join(name for name, on in zip(classes, row, strict=True) if on) or none for row in chosen]
    probability = sets.probability(p_wrong).astype(np.float32)
    label, sure = SUGGESTED
    return {
        label: [name if here else None for name, here in zip(names, differs, strict=True)],
        sure: [float(p) if here else None for p, here in zip(probability, differs, strict=True)],
    }


def with_unreadable(
    batch: Batch, judged: Mapping[str, list[Any]], constants: Mapping[str, Any], names: Sequence[str]
) -> dict[str, list[Any]]:
    """Return all columns for all rows of a batch: an image that could not be read is flagged, has no reasons, and
    nulls for what nobody can know.
    """
    readable = [position for position, row in enumerate(batch.rows) if row.error is None]
    columns: dict[str, list[Any]] = {name: [value] * len(batch.rows) for name, value in constants.items()}
    columns["file_name"] = [row.name for row in batch.rows]
    columns["error"] = [row.error for row in batch.rows]
    for name in names:
        if name not in columns:
            columns[name] = [None] * len(batch.rows)
            for position, value in zip(readable, judged.get(name, []), strict=False):
                columns[name][position] = value
    for position, row in enumerate(batch.rows):
        if row.note is not None:
            columns["reasons"][position] = [*columns["reasons"][position], DEEPER_LOOK_FAILED]
    columns["flagged"] = [flag is None or flag for flag in columns["flagged"]]
    columns["reasons"] = [reasons or [] for reasons in columns["reasons"]]
    return columns
