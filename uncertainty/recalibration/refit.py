"""Labels come back: combiner and thresholds are learnt again from old and new rows, without a look at any image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.combination import calibration_sets
from uncertainty.combination.evidence import Shares, counted, far
from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.fit import Combination, few_errors
from uncertainty.combination.mixture import Signals
from uncertainty.combination.unknown_answers import OpenAnswers
from uncertainty.combination.unknown_condition import condition_shares
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.errors import InputError
from uncertainty.evaluation.screening_quality import join_labels, match_labels
from uncertainty.figures import number_of
from uncertainty.metrics.intervals import Interval
from uncertainty.metrics.row_log_loss import clearly_more, row_losses
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.recalibration import sampling_weights
from uncertainty.recalibration.labelled_batch import Incoming, judge, keys, known_truths, read_batch, refuse_others
from uncertainty.recalibration.labelled_decisions import flagged
from uncertainty.recalibration.sampling_weights import RowWeights
from uncertainty.screener import Screener
from uncertainty.screener.decisions import Decisions, decided_by
from uncertainty.screener.fit import learnt
from uncertainty.verdicts import Verdicts

_CLEAN = CONDITIONS.index("clean")


@dataclass(frozen=True)
class State:
    """What a screener says of the batch: mean p_wrong, images flagged, and log loss of p_wrong on the new labels."""

    predicted: float
    flagged: int
    log_loss: float
    decision: Decision


@dataclass(frozen=True, eq=False, repr=False)
class Update(Brief):
    """The screener that learnt from the labels, and what changed.

    It `harmed` where p_wrong tells less of the new labels now, out of fold, beyond chance (5 %, one-sided).

    `images` of the batch could be read and had not been learnt from; `labelled` of them have a label; of `answered`
    of those it is known whether they are wrong, and `errors` are. `observed` is the error rate of the images that the
    labels speak for, with a 95 % interval.
    The log loss after is that of folds without the row.
    """

    screener: Screener
    images: int
    labelled: int
    answered: int
    errors: int
    observed: Interval
    before: State
    after: State
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    harmed: bool

    def words(self) -> list[str]:
        """Return what changed, as sentences."""
        rate, low, high = self.observed.value, self.observed.low, self.observed.high
        b, a = self.before, self.after
        change = (
            ", worse beyond chance" if self.harmed else "" if a.log_loss < b.log_loss else ", worse, but within chance"
        )
        labels, errors = number_of(self.labelled, "label"), number_of(self.errors, "error")
        among = (
            "among them"
            if self.answered == self.labelled
            else f"among the {self.answered} of which all answers are known"
        )
        lines = [f"learnt from {labels}, {errors} {among}, of a batch of {number_of(self.images, 'image')}"]
        if any(self.left_out.values()):
            lines.append(f"left out: {', '.join(f'{n} {what}' for what, n in self.left_out.items() if n)}")
        return [
            *lines,
            f"error rate of what the labels speak for: {rate:.1%} (95 % interval {low:.1%} to {high:.1%})",
            f"error rate of the batch by p_wrong: {b.predicted:.1%} before, {a.predicted:.1%} now",
            f"log loss on the new labels: {b.log_loss:.4f} before, {a.log_loss:.4f} now, out of fold{change}",
            f"flagged in the batch: {b.flagged} before, {a.flagged} now",
            f"before: {b.decision}",
            f"now: {a.decision}",
        ]


def updated(
    screener: Screener,
    verdicts: Verdicts,
    labels: Mapping[str, str],
    inclusion: Mapping[str, float] | None = None,
    digests: Mapping[str, str] | None = None,
) -> Update:
    """Learn again from the calibration rows and from images that were screened and have labels now.

    Parameters
    ----------
    verdicts : of the whole batch, all columns, by this screener; any policy.
    labels : by file name.
    inclusion : by file name, the chance in (0, 1] that this image was chosen for labelling, where that is known. None:
        the images from one p_wrong on where exactly those have labels; else a random draw among the flagged and another
        among the others, one of which may be empty.
    digests : content digests by file name, as far as known; they tell which images were learnt from already.

    Raises
    ------
    InputError : verdicts of another screener, no label of a new image, labels of no class alone, chances out of range
        or absent, or labels without `inclusion` that were plainly not drawn at random.

    """
    refuse_others(screener, verdicts)
    labels, notes = known_truths(screener, labels)
    table = join_labels(verdicts.table, labels)
    batch, left_out = read_batch(screener, table, digests or {})
    left_out["labels without an image"] = match_labels(table, labels).labels_without_row
    weights, how = _weights(screener, batch, verdicts, inclusion)
    notes += how
    if not batch.wrong.any():
        notes.append("none of the new labels is an error: they only say how often the classifier is right")
    now, p_wrong = _learnt(screener, batch, weights, digests or {})
    p = now.combiner.p_wrong(batch.rows.signals).astype(np.float32)
    told, counts = batch.told, weights.new[batch.told]
    losses = [row_losses(q[told], batch.wrong[told]) for q in (_double(batch.new.p_wrong), p_wrong)]
    means = [float(np.average(one, weights=counts)) for one in losses]
    each = None if batch.decisions is None else batch.decisions.p_wrong
    count = int(flagged(now.decision, p, batch.rows.predicted, each).sum())
    return Update(
        screener=replace(now, notes=tuple(dict.fromkeys((*now.notes, *notes)))),
        images=len(batch.rows),
        labelled=int(batch.labelled.sum()),
        answered=int(told.sum()),
        errors=int(batch.wrong[told].sum()),
        observed=sampling_weights.estimate(batch.wrong[told], counts),
        before=State(float(batch.rows.p_wrong.mean()), int(batch.flagged.sum()), means[0], judge(screener, verdicts)),
        after=State(float(p.mean()), count, means[1], now.decision),
        left_out=left_out,
        notes=tuple(notes),
        harmed=clearly_more(losses[1], losses[0], counts),
    )


def _double(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return values.astype(np.float64)


def _weights(
    screener: Screener, batch: Incoming, verdicts: Verdicts, inclusion: Mapping[str, float] | None
) -> tuple[RowWeights, list[str]]:
    """Return what each calibration row and each new row counts, and what there is to say about that."""
    old, p = screener.calibration, _double(batch.rows.p_wrong)
    each = None if screener.decisions is None else screener.decisions.rows.p_wrong
    old_upper, upper = flagged(judge(screener, verdicts), old.p_wrong, old.predicted, each), batch.flagged
    names = ("flagged images", "unflagged images")
    by_flag = bool((batch.labelled == upper).all())
    if inclusion is None and not by_flag and (cut := sampling_weights.upper_part(p, batch.labelled)) is not None:
        old_upper, upper = old.p_wrong >= np.float32(cut), p >= cut
        names = (f"images with a p_wrong from {cut:.4f} on", f"images with a p_wrong below {cut:.4f}")
    if inclusion is None:
        _refuse_chosen(p, upper, batch.labelled)
        chance = sampling_weights.chances(upper, batch.labelled)
    else:
        chance = _checked(inclusion, batch)
    weights = sampling_weights.row_weights(
        _double(old.weights[old.clean]), old_upper[old.clean], upper, batch.labelled, chance
    )
    notes = []
    if weights.unseen is not None:
        notes.append(
            f"no label of {names[not weights.unseen]}: labels of others can't speak for them, so calibration "
            "still does; label some of them at random, too"
        )
    if inclusion is not None and (found := sampling_weights.off(upper, batch.labelled, chance)):
        notes.append(f"by their inclusion the labels stand for {found[0]} images, and there are {found[1]}; check it")
    return weights, notes


def _refuse_chosen(p_wrong: NDArray[np.float64], upper: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> None:
    if (stratum := sampling_weights.chosen_by_score(p_wrong, upper, labelled)) is not None:
        raise InputError(
            f"the labelled among the {'flagged' if stratum else 'unflagged'} images differ in p_wrong from the others, "
            "so they were not drawn at random: give their chances to be labelled, in (0, 1], as a column inclusion; "
            "`uncertainty rank --explore 0.2` draws a part at random and writes them"
        )


def _checked(inclusion: Mapping[str, float], batch: Incoming) -> NDArray[np.float64]:
    names = [str(name) for name in batch.names[batch.labelled]]
    if missing := [name for name in names if name not in inclusion]:
        raise InputError(
            f"{missing[0]!r} has a label and no inclusion; give the chance that it was labelled, in (0, 1]"
        )
    bad = [name for name in names if not 0 < inclusion[name] <= 1]
    if bad:
        raise InputError(f"inclusion of {bad[0]!r} is {inclusion[bad[0]]:g}; it must be above 0 and at most 1")
    return np.array([inclusion[name] for name in names], dtype=np.float64)


def evidence_of(screener: Screener, rows: HeldOut) -> Evidence:
    """Return calibration rows as a combiner learns from them."""
    return Evidence(
        names=tuple(e.name for e in screener.estimators),
        scales=tuple(e.scale for e in screener.estimators),
        start=np.array([e.begins() for e in screener.estimators]),
        posterior=np.array([e.posterior for e in screener.estimators]),
        signals=rows.signals,
        classes=0 if screener.model.task == "multilabel" else len(screener.model.classes),
        wrong=rows.wrong,
        condition=rows.condition,
        weights=_double(rows.weights),
        groups=rows.groups,
        clusters=rows.clusters,
        far=far(screener.estimators, screener.model.task),
        unknown=_shares(screener).foreign / _shares(screener).clean,
    )


def _shares(screener: Screener) -> Shares:
    return Shares(screener.calibrated_on["expected_damage"], screener.calibrated_on["expected_unknown"])


def _joined(old: HeldOut, batch: Incoming, weights: RowWeights) -> HeldOut:
    """Put new rows behind the old ones; copies keep their share of the whole."""
    m, new = len(weights.new), batch.new
    clean, scaled = old.clean, _double(old.weights)
    scaled[~clean] *= (weights.old.sum() + weights.new.sum()) / scaled[clean].sum()
    scaled[clean] = weights.old
    parts = zip(vars(old.signals).values(), vars(new.signals).values(), strict=True)
    chosen = np.append(np.zeros(len(old), bool) if old.chosen is None else old.chosen, np.full(m, _chosen(weights)))
    return HeldOut(
        p_wrong=np.append(old.p_wrong, new.p_wrong),
        weights=np.append(scaled, weights.new).astype(np.float32),
        wrong=np.append(old.wrong, batch.wrong),
        condition=np.append(old.condition, np.full(m, _CLEAN)),
        groups=np.append(old.groups, old.groups.max() + 1 + np.arange(m)),
        certifying=np.append(old.certifying, np.zeros(m, dtype=bool)),
        partly=_both(old.partly, batch.partly, len(old), m),
        later=_both(old.later, np.ones(m, dtype=bool), len(old), m),
        signals=Signals(*(np.concatenate(pair) for pair in parts)),
        chosen=chosen if chosen.any() else None,
        # Nobody says what new images belong to: each stands by itself.
        clusters=None if old.clusters is None else np.append(old.clusters, old.clusters.max() + 1 + np.arange(m)),
    )


def _both(old: NDArray[np.bool_] | None, new: NDArray[np.bool_] | None, n: int, m: int) -> NDArray[np.bool_] | None:
    """Join two masks of n and m rows; None stands for none of the rows."""
    if old is None and new is None:
        return None
    return np.append(np.zeros(n, dtype=bool) if old is None else old, np.zeros(m, dtype=bool) if new is None else new)


def _chosen(weights: RowWeights) -> bool:
    return not weights.even or weights.unseen is not None


def _learnt(
    screener: Screener, batch: Incoming, weights: RowWeights, digests: Mapping[str, str]
) -> tuple[Screener, NDArray[np.float64]]:
    """Return the new screener and (m,) p_wrong of the new rows from folds without them."""
    before = evidence_of(screener, screener.calibration.take(~screener.calibration.certifying))
    rows = _joined(screener.calibration, batch, weights)
    decisions = _decisions(screener, batch, rows)
    evidence = evidence_of(screener, rows)
    if rows.partly is not None and decisions is not None:
        answers = OpenAnswers(decisions.rows.wrong, _double(decisions.rows.p_wrong))
        evidence = replace(evidence, chance=answers.chances(evidence.weights, rows.p_wrong))
    if rows.later is not None:
        evidence = replace(evidence, shares=condition_shares(evidence, screener.combiner, rows.later))
    combination, p_wrong = learnt(evidence, certifying=rows.certifying, seed=screener.seed)
    decision, rows, _ = decided_by(screener.decision.policy, rows.with_p_wrong(p_wrong), None, decisions)
    classes = screener.model.classes
    stale = {*few_errors(before), *screener.decision.notes(classes), *_promises(screener.calibration)}
    notes = [note for note in screener.notes if note not in stale]
    learnt_from = keys(screener, batch.names[batch.labelled], digests)
    now = replace(
        screener,
        combiner=combination.combiner,
        decision=decision,
        calibration=rows,
        decisions=decisions,
        baseline=_baseline(screener.baseline, rows, batch),
        calibrated_on=_calibrated_on(screener, evidence, combination, batch),
        fitted_on=np.union1d(screener.fitted_on, calibration_sets.hashed(learnt_from)),
        notes=(*notes, *combination.notes, *decision.notes(classes), *_promises(rows)),
    )
    return now, p_wrong[len(screener.calibration) :]


def _decisions(screener: Screener, batch: Incoming, rows: HeldOut) -> Decisions | None:
    """Put the new decisions behind the old ones; what judges them stays, and their lines are drawn on all of them."""
    if screener.decisions is None or batch.decisions is None:
        return screener.decisions
    new = batch.decisions.take(batch.labelled)
    return screener.decisions.with_rows(new, rows.clean, rows.weights)


def _promises(rows: HeldOut) -> list[str]:
    if rows.chosen is None:
        return []
    return [
        f"promises rest on {int(rows.exact.sum())} calibration rows and hold for images like them; "
        f"{int(rows.chosen.sum())} labelled later, chosen with unequal chances, can't certify any"
    ]


def _baseline(old: Baseline, rows: HeldOut, batch: Incoming) -> Baseline:
    """Judge the rows that monitoring compares with anew, and add the new ones where they were drawn evenly."""
    kept, labels = old.rows, old.labels
    if int(rows.as_drawn.sum()) > len(kept):
        joined = {f.name: np.concatenate([getattr(kept, f.name), getattr(batch.new, f.name)]) for f in fields(Rows)}
        kept, labels = Rows(**joined), None if labels is None else np.append(labels, batch.labels)
    kept = replace(kept, p_wrong=rows.p_wrong[rows.as_drawn])
    clusters = None if rows.clusters is None else rows.clusters[rows.as_drawn]
    return replace(old, rows=kept, wrong=rows.wrong[rows.as_drawn], labels=labels, clusters=clusters)


def _calibrated_on(screener: Screener, evidence: Evidence, combination: Combination, batch: Incoming) -> dict[str, Any]:
    old = screener.calibrated_on
    step = {"from": screener.id, "labels": len(batch.wrong), "errors": int(batch.wrong.sum())}
    return {
        **{name: fact for name, fact in old.items() if name not in ("decisions", "decisions_right")},
        **counted(evidence, _shares(screener)),
        **combination.report,
        "updates": [*old.get("updates", []), step],
    }
