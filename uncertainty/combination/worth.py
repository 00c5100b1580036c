"""What evidence that costs a second network or more passes is worth, in errors that flags catch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import Combination, combine
from uncertainty.estimators.base import Estimator
from uncertainty.figures import percent

FLAGGED = 0.1
"""The share of calibration that is flagged to count with."""


def worth(estimators: Sequence[Estimator], rows: Evidence, combination: Combination, seed: int) -> list[str]:
    """Say, for evidence that costs extra passes, whether it gained anything on calibration."""
    families = np.array([e.family for e in estimators])
    asked_for = [(name, families == name) for name in ("second opinion", "views") if (families == name).any()]
    said = [(name, gain(rows, combination, columns, seed)) for name, columns in asked_for]
    return [f"{name}: {text}" for name, text in said if text]


def gain(evidence: Evidence, combination: Combination, columns: NDArray[np.bool_], seed: int = 0) -> str:
    """Say what the estimators in `columns` are worth on clean rows, out of fold: the errors that flags catch with them.

    Evidence that costs a second network or more passes should earn it: "gains" where p_wrong tells errors apart better
    and has a lower log loss, in the digits that are said, "gains little" where one of them holds.
    """
    wrong = evidence.wrong[evidence.rows("clean")]
    if columns.all() or not columns.any() or wrong.all() or not wrong.any():
        return ""
    without, clean = combine(evidence.only(~columns), seed), evidence.rows("clean")
    pair = [(wrong, one.out_of_fold[clean]) for one in (combination, without)]
    caught, apart = ([round(measure(*one), 3) for one in pair] for measure in (_caught, metrics.auroc))
    better = (combination.report["log_loss"] < without.report["log_loss"]) + (apart[0] > apart[1])
    return (
        f"{('gains nothing', 'gains little', 'gains')[better]}: flagging {FLAGGED:.0%} of calibration catches "
        f"{percent(caught[0])} of its errors with it and {percent(caught[1])} without (AUROC of errors {apart[0]:.3f} "
        f"and {apart[1]:.3f})"
    )


def _caught(wrong: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    return metrics.errors_caught(wrong, score, FLAGGED)
