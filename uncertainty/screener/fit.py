"""From images or outputs to everything of a screener that is learnt: estimators, combiner, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier, Images, Look
from uncertainty.classifiers.eight_bits import arrays_of, shown
from uncertainty.combination import calibration_sets, counted_once
from uncertainty.combination.class_order import refuse_another_order
from uncertainty.combination.copies import damage_kinds
from uncertainty.combination.decision_fit import DecisionEvidence
from uncertainty.combination.equal_outputs import equal_outputs
from uncertainty.combination.evidence import counted, evidence, shares_of
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import Combination, combine
from uncertainty.combination.mixture import Condition, Floats, Mixture
from uncertainty.combination.unknown_answers import OpenAnswers, partly_told, with_chances
from uncertainty.combination.worth import worth
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.errors import InputError
from uncertainty.estimators import discover
from uncertainty.estimators._known_good import known_good_names, recall
from uncertainty.estimators.base import Estimator
from uncertainty.figures import number_of
from uncertainty.images.quality_words import QualityWords
from uncertainty.monitoring.baseline import Baseline
from uncertainty.monitoring.unseen import between_kinds
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import fit_facts, reasons
from uncertainty.screener.artifact import SavedModel
from uncertainty.screener.cascade import Cascade, Learn, nothing_deeper
from uncertainty.screener.decisions import Decisions, decided_by
from uncertainty.screener.fit_settings import FitSettings
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.reasons import Telling


@contextmanager
def remembering(classifier: Classifier, folder: str | Path | None) -> Iterator[Classifier]:
    """Yield the same classifier, which looks in a cache first where there is a folder for one."""
    if folder is None:
        yield classifier
        return
    from uncertainty.classifiers.pass_cache import PassCache, cached

    cache = PassCache(folder)
    yield cached(classifier, cache)
    cache.close()


def from_images(
    classifier: Classifier,
    reference: Images | None,
    calibration: Images,
    asked: FitSettings,
    look: Look,
    views: Sequence[str],
    cache: str | Path | None = None,
) -> tuple[Fitted, Classifier]:
    """Run the classifier over both sets and copies of calibration, and fit to what it says; see `Screener.fit`.

    The classifier that ran comes too: one that waited for images has seen known-good ones.
    """
    groups = asked.groups
    if groups is not None and not isinstance(groups, Mapping):
        raise InputError("images are told apart by their names; give groups by name, such as {'a/1.png': 'film a'}")
    calibration_sets.refuse_unwritable(classifier.classes, classifier.task)
    classifier = shown(classifier, reference, look.workers)
    wanted = calibration_sets.Asked(asked.shares, groups, asked.drop_duplicates, asked.compared)
    with remembering(classifier, cache) as running:
        sets = calibration_sets.collect(running, reference, calibration, look, views, wanted)
    asked = replace(asked, damage_kinds=damage_kinds(sets.calibration, look.seed))
    fitted = from_outputs(sets.reference, sets.calibration, (sets.damaged, sets.foreign), asked)
    known = replace(
        fitted,
        passes=look.passes,
        views=sets.views,
        calibrated_on=fitted.calibrated_on | fit_facts.of_reference(sets.reference, sets.labelled_reference),
        notes=(*classifier.notes, *classifier.network.left_out(look.passes), *sets.notes, *fitted.notes),
        model=SavedModel.of(classifier),
        fitted_on=sets.ids,
        eight_bits=arrays_of(classifier),
    )
    return known, classifier


def from_outputs(
    reference: ModelOutputs,
    calibration: ModelOutputs,
    copies: tuple[ModelOutputs | None, ModelOutputs | None],
    asked: FitSettings,
) -> Fitted:
    """Fit to outputs, see `Screener.fit_outputs`; `copies` are the damaged and the foreign ones."""
    calibration, copies, left_out = counted_once.usable_rows(calibration, copies, asked.groups)
    reference = counted_once.by_id(reference)
    calibration_sets.refuse_overlap(reference, calibration, "reference and calibration")
    classes = _classes(asked, calibration)
    (known_good, notes), same = calibration_sets.known_good(reference), equal_outputs(reference, calibration)
    kept_back = _kept_back(calibration, asked.certify_share, asked.seed)
    usable, off = _estimators(asked, reference, calibration.take(~kept_back))
    shares, seed = shares_of(asked.shares, usable, calibration, copies), asked.seed
    rows = evidence(usable, calibration, copies, shares, seed, kept_back)
    certifying = kept_back[rows.groups]
    judged = partial(DecisionEvidence.of, calibration=calibration, copies=copies, kept_back=kept_back, seed=seed)
    seen = judged(usable, rows=rows) if calibration.task == "multilabel" else None
    learn = partial(learnt, certifying=certifying, seed=seed)
    rows, (combination, p_wrong) = _learnt_of_all(rows, seen, calibration, learn, seed)
    cascade = Cascade.fit(rows, p_wrong, usable, asked.deeper, learn, loss=asked.cascade_loss, most=asked.cascade_share)
    at_first = judged(cascade.cheap(usable), rows=rows) if seen and cascade else None
    decisions = Decisions.fit((seen, at_first), rows, combination, certifying, cascade, seed) if seen else None
    kept = HeldOut.of(rows, p_wrong, certifying, decisions.rows.partly if decisions else None)
    decision, held_out, cascade = decided_by(asked.policy, kept, cascade, decisions)
    partly = () if seen is None else partly_told(seen.wrong[rows.rows("clean")])
    gained = *nothing_deeper(usable, asked.deeper), *worth(usable, rows.take(~certifying), combination, seed)
    return Fitted(
        estimators=usable,
        combiner=combination.combiner,
        decision=decision,
        passes=0 if calibration.mc_probs is None else calibration.mc_probs.shape[1],
        views=(),
        seed=seed,
        calibrated_on={
            "reference": len(known_good),
            "certifying": int((rows.rows("clean") & certifying).sum()),
            **(counted(rows, shares) | combination.report | recall(usable)),
            **(fit_facts.of_reference(reference) | fit_facts.of_calibration(usable, calibration)),
        },
        notes=(*same, *notes, *off, *left_out, *partly, *combination.notes, *gained, *decision.notes(classes)),
        model=SavedModel(classes=classes, task=calibration.task),
        fitted_on=calibration_sets.hashed([*map(str, reference.ids), *map(str, calibration.ids)]),
        calibration=held_out,
        baseline=_baseline(rows, p_wrong, certifying, combination, asked, calibration),
        known_good=known_good_names(known_good),
        cascade=cascade,
        decisions=decisions,
        telling=_telling(known_good, calibration, rows, (usable, combination.combiner), p_wrong),
    )


def _learnt_of_all(
    rows: Evidence, seen: DecisionEvidence | None, calibration: ModelOutputs, learn: Learn, seed: int
) -> tuple[Evidence, tuple[Combination, Floats]]:
    """Learn from all rows, and return them; where answers are unknown twice, first by what single decisions say."""
    answers = None if seen is None else OpenAnswers.of(seen, rows)
    if answers is None:
        return rows, learn(rows)
    names = [str(name) for name in calibration.ids]
    _, p_wrong = learn(with_chances(rows, answers, names, seed))
    rows = with_chances(rows, answers, names, seed, p_wrong)
    return rows, learn(rows)


def _estimators(
    asked: FitSettings, reference: ModelOutputs, calibration: ModelOutputs
) -> tuple[tuple[Estimator, ...], tuple[str, ...]]:
    """Fit what is asked for, else the default estimators: where an image has one label not those of several alone."""
    wanted = list(asked.estimators or ())
    if asked.estimators is None:
        default = [cls() for cls in discover().values() if cls.default]
        wanted = [one for one in default if calibration.task == "multilabel" or calibration.task in one.tasks]
    return calibration_sets.fit_estimators(wanted, reference, calibration)


def _baseline(
    rows: Evidence,
    p_wrong: NDArray[np.float64],
    certifying: NDArray[np.bool_],
    learnt: Combination,
    asked: FitSettings,
    calibration: ModelOutputs,
) -> Baseline:
    """Keep what incoming images are compared with, and how far off unseen damage may be, if its kinds are known."""
    baseline, rows = Baseline.of(rows, p_wrong, calibration), rows.take(~certifying)
    names = [str(calibration.ids[row]) for row in rows.groups[rows.rows("damaged")]]
    if asked.damage_kinds is None or not names:
        return baseline
    shares = asked.shares.of(damaged=True, foreign="foreign" in learnt.combiner.gates)
    declared: dict[Condition, float] = {"clean": shares.clean, "damaged": shares.damaged, "foreign": shares.foreign}
    kinds = [asked.damage_kinds.get(name, "") for name in names]
    return replace(baseline, between=between_kinds(rows, learnt.combiner, declared, kinds, asked.seed))


def _telling(
    known_good: ModelOutputs,
    calibration: ModelOutputs,
    rows: Evidence,
    judges: tuple[Sequence[Estimator], Mixture],
    p_wrong: NDArray[np.float64],
) -> Telling:
    image = None if known_good.quality is None else QualityWords.fit(known_good.quality)
    clean = rows.rows("clean")
    return Telling(image, reasons.usual(calibration, rows.signals.take(clean), judges, p_wrong[clean]))


def _classes(asked: FitSettings, calibration: ModelOutputs) -> list[str]:
    """Return the names of the classes, which texts can tell and which are surely in no other order."""
    classes = list(asked.classes or map(str, range(calibration.n_classes)))
    calibration_sets.refuse_unwritable(classes, calibration.task)
    refuse_another_order(calibration, classes, keep=asked.keep_class_order)
    return classes


def _kept_back(calibration: ModelOutputs, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose calibration images at random, whatever their labels: nothing learns from them, nor from their copies.

    Images of a group are chosen together.
    """
    images, groups = len(calibration), calibration.groups
    units = images if groups is None else len(np.unique(groups))
    chosen = np.zeros(units, dtype=bool)
    chosen[np.random.default_rng([seed, 14]).permutation(units)[: round(share * units)]] = True
    return chosen if groups is None else chosen[np.unique(groups, return_inverse=True)[1]]


def learnt(rows: Evidence, *, certifying: NDArray[np.bool_], seed: int) -> tuple[Combination, NDArray[np.float64]]:
    """Combine, and give each row p_wrong from a combiner without it; those kept back get that of the final one."""
    combination = combine(rows.take(~certifying), seed)
    p_wrong = np.empty(len(rows.wrong))
    p_wrong[~certifying] = combination.out_of_fold
    p_wrong[certifying] = combination.combiner.p_wrong(rows.signals.take(certifying))
    return combination, p_wrong


def in_words(calibrated_on: dict[str, Any]) -> str:
    """Say what p_wrong was calibrated on.

    >>> in_words({"calibration": 90, "errors": 9, "expected_damage": 0.05, "expected_unknown": 0.0})
    '90 images with 9 errors, expecting 5.0% damaged'
    """
    expected = ", ".join(
        f"{calibrated_on['expected_' + what]:.1%} {what_they_are}"
        for what, what_they_are in (("damage", "damaged"), ("unknown", "of no known class"))
        if calibrated_on["expected_" + what]
    )
    rows = number_of(calibrated_on["calibration"], "image")
    text = f"{rows} with {number_of(calibrated_on['errors'], 'error')}"
    return f"{text}, expecting {expected}" if expected else text
