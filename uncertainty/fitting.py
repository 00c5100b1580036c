"""From sets of outputs to everything of a screener that is learnt: estimators, combiner, held-out calibration rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import calibration_sets
from uncertainty.artifact import SavedModel
from uncertainty.combiner import Combiner
from uncertainty.combining import Combination, Evidence, combine
from uncertainty.errors import InputError
from uncertainty.estimators import discover
from uncertainty.estimators.base import Estimator
from uncertainty.evidence import Shares, evidence, worth
from uncertainty.held_out import HeldOut
from uncertainty.outputs import ModelOutputs


@dataclass(frozen=True, eq=False)
class Fitted:
    """What `Screener` is made of, under the same names, before a policy is decided."""

    estimators: tuple[Estimator, ...]
    combiner: Combiner
    passes: int
    views: tuple[str, ...]
    seed: int
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    model: SavedModel
    fitted_on: NDArray[np.uint64]
    calibration: HeldOut


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
    combination = combine(rows.take(~certifying), seed)
    return Fitted(
        estimators=usable,
        combiner=combination.combiner,
        passes=0 if calibration.mc_probs is None else calibration.mc_probs.shape[1],
        views=(),
        seed=seed,
        calibrated_on=_counts(len(known_good), rows, certifying, shares) | combination.report,
        notes=(*notes, *off, *combination.notes, *worth(usable, rows.take(~certifying), combination, seed)),
        model=SavedModel(classes=list(classes or map(str, range(calibration.n_classes))), task=calibration.task),
        fitted_on=calibration_sets.hashed([*map(str, reference.ids), *map(str, calibration.ids)]),
        calibration=held_out(rows, combination, certifying),
    )


def _kept_back(rows: Evidence, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose images at random, whatever their labels, with all their copies."""
    if not 0 <= share < 1:
        raise InputError(f"certify_share is {share}; it must be a share from 0 to below 1")
    images = np.unique(rows.groups)
    chosen = np.random.default_rng([seed, 14]).permutation(images)[: round(share * len(images))]
    return np.asarray(np.isin(rows.groups, chosen))


def held_out(rows: Evidence, combination: Combination, certifying: NDArray[np.bool_]) -> HeldOut:
    """Give each row p_wrong from a combiner that did not learn from it; those kept back get that of the final one."""
    p_wrong = np.empty(len(rows.wrong))
    p_wrong[~certifying] = combination.out_of_fold
    p_wrong[certifying] = combination.combiner.p_wrong(rows.signals.take(certifying))
    return HeldOut.of(rows, p_wrong, certifying)


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


def _counts(reference: int, rows: Evidence, certifying: NDArray[np.bool_], shares: Shares) -> dict[str, Any]:
    clean = rows.rows("clean")
    return {
        "reference": reference,
        "calibration": int(clean.sum()),
        "errors": rows.errors("clean"),
        "certifying": int((clean & certifying).sum()),
        "damaged_copies": int(rows.rows("damaged").sum()),
        "foreign_copies": int(rows.rows("foreign").sum()),
        "expected_damage": shares.damaged,
        "expected_unknown": shares.foreign,
    }
