"""Single decisions of a batch that has come back with labels, where an image may have several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.decisions.decide import Decision
from uncertainty.decisions.decision_rows import DecisionRows
from uncertainty.decisions.each_decision import flags_of_decisions
from uncertainty.errors import InputError
from uncertainty.labels.label_sets import resolve_sets
from uncertainty.labels.tables import encoded, table_decisions
from uncertainty.outputs import UNKNOWN_ANSWER

if TYPE_CHECKING:
    import pyarrow as pa


def decisions_of(rows: pa.Table, classes: Sequence[str]) -> DecisionRows:
    """Return the decisions of verdict rows; an answer that nobody gave, or of an image without a label, is -1.

    Raises InputError where the verdicts do not tell p_wrong of single decisions.
    """
    p_wrong = table_decisions(rows, classes)
    if p_wrong is None:
        raise InputError("these verdicts have no p_wrong of single decisions; screen again")
    said = encoded(rows["predicted_label"], classes, "multilabel")
    truth = resolve_sets(rows["label"].to_pylist(), classes).truth
    wrong = np.where(truth == UNKNOWN_ANSWER, UNKNOWN_ANSWER, truth != said).astype(np.int8)
    return DecisionRows(p_wrong, wrong, said)


def flagged(
    decision: Decision,
    p_wrong: NDArray[np.floating],
    predicted: NDArray[np.int64],
    of_decisions: NDArray[np.floating] | None,
) -> NDArray[np.bool_]:
    """Return (n,) which images are flagged, by their p_wrong (n,) or by that of their decisions (n, c)."""
    if decision.policy.per_decision and of_decisions is not None:
        return np.asarray(flags_of_decisions(decision, of_decisions).any(axis=1))
    return decision.flags(p_wrong, predicted)
