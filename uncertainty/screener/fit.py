"""From sets of outputs to everything of a screener that is learnt: estimators, combiner, held-out calibration rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination import calibration_sets
from uncertainty.combination.evidence import Shares, counted, evidence, worth
from uncertainty.combination.fit import Combination, Evidence, combine
from uncertainty.combination.mixture import Mixture
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.errors import InputError
from uncertainty.estimators import discover
from uncertainty.estimators._known_good import known_good_names, recall
from uncertainty.estimators.base import Estimator
from uncertainty.monitoring.baseline import Baseline
from uncertainty.outputs import ModelOutputs
from uncertainty.screener.artifact import SavedModel
from uncertainty.screener.cascade import Cascade, nothing_deeper


@dataclass(frozen=True, eq=False)
class Fitted:
    """What `Screener` is made of, under the same names, before a policy is decided."""

    estimators: tuple[Estimator, ...]
    combiner: Mixture
    passes: int
    views: tuple[str, ...]
    seed: int
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    model: SavedModel
    fitted_on: NDArray[np.uint64]
    calibration: HeldOut
    baseline: Baseline
    known_good: tuple[str, ...]
    cascade: Cascade | None


def from_outputs(
    reference: ModelOutputs,
    calibration: ModelOutputs,
    copies: tuple[ModelOutputs | None, ModelOutputs | None],
    expected: Shares,
    *,
    seed: int,
    certify_share: float,
    estimators: Sequence[Estimator] | None,
    classes: Sequence[str] | None,
    deeper: Sequence[str],
    cascade_loss: float,
) -> Fitted:
    """Fit all but the policy, see `Screener.fit_outputs`; `copies` are the damaged and the foreign ones."""
    calibration.require("labels", "calibration")
    calibration_sets.refuse_overlap(reference, calibration, "reference and calibration")
    known_good, notes = calibration_sets.known_good(reference)
    wanted = [cls() for cls in discover().values() if cls.default] if estimators is None else list(estimators)
    usable, off = calibration_sets.fit_estimators(wanted, known_good, calibration)
    shares = expected.of(damaged=bool(copies[0]), foreign=bool(copies[1]))
    rows = evidence(usable, calibration, copies, shares, seed)
    certifying = _kept_back(rows, certify_share, seed)
    learn = partial(learnt, certifying=certifying, seed=seed)
    combination, p_wrong = learn(rows)
    gained = worth(usable, rows.take(~certifying), combination, seed)
    return Fitted(
        estimators=usable,
        combiner=combination.combiner,
        passes=0 if calibration.mc_probs is None else calibration.mc_probs.shape[1],
        views=(),
        seed=seed,
        calibrated_on={
            "reference": len(known_good),
            "certifying": int((rows.rows("clean") & certifying).sum()),
            **counted(rows, shares),
            **combination.report,
            **recall(usable),
        },
        notes=(*notes, *off, *combination.notes, *nothing_deeper(usable, deeper), *gained),
        model=SavedModel(classes=list(classes or map(str, range(calibration.n_classes))), task=calibration.task),
        fitted_on=calibration_sets.hashed([*map(str, reference.ids), *map(str, calibration.ids)]),
        calibration=HeldOut.of(rows, p_wrong, certifying),
        baseline=Baseline.of(rows, p_wrong, calibration),
        known_good=known_good_names(known_good),
        cascade=Cascade.fit(rows, p_wrong, usable, deeper, learn, loss=cascade_loss),
    )


def _kept_back(rows: Evidence, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose images at random, whatever their labels, with all their copies."""
    if not 0 <= share < 1:
        raise InputError(f"certify_share is {share}; it must be a share from 0 to below 1")
    images = np.unique(rows.groups)
    chosen = np.random.default_rng([seed, 14]).permutation(images)[: round(share * len(images))]
    return np.asarray(np.isin(rows.groups, chosen))


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
    text = f"{calibrated_on['calibration']} images with {calibrated_on['errors']} errors"
    return f"{text}, expecting {expected}" if expected else text
