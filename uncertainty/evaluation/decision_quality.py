"""Several labels an image: how often the decision on each class is wrong, and how well that was told beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.labels.tables import encoded, table_decisions
from uncertainty.verdicts import FLAGGED_LABELS


@dataclass(frozen=True)
class DecisionRow:
    """The decisions on one class whose answer is known; None where it can't be said."""

    class_name: str
    n: int
    errors: int
    error_rate: float | None
    predicted_error_rate: float | None
    """Mean of `p_wrong_<class>`."""
    auroc: float | None
    """Of `p_wrong_<class>` for its errors; None without errors, or with nothing else."""
    auroc_of_confidence: float | None
    """The same of 1 - the probability of the decision: what one would use without a screener."""
    ece: float | None
    brier: float | None
    flagged: int | None
    errors_flagged: int | None


@dataclass(frozen=True)
class DecisionReport:
    """All decisions together, and class by class; `unanswered` were left out, since nobody gave an answer."""

    n: int
    unanswered: int
    errors: int
    accuracy: float | None
    mean_auroc: float | None
    """Over the classes that have one."""
    mean_auroc_of_confidence: float | None
    ece: float | None
    per_class: tuple[DecisionRow, ...]


def decision_report(outcomes: Outcomes) -> DecisionReport | None:
    """Measure every decision; None where an image has one label.

    >>> found = decision_report(Outcomes.from_arrays([[1, -1], [0, 1]], [[1, 0], [1, 1]], task="multilabel"))
    >>> found.n, found.unanswered, found.errors, [row.errors for row in found.per_class]
    (3, 1, 1, [1, 0])
    """
    if outcomes.task == "multiclass":
        return None
    classes = outcomes.classes[: outcomes.n_known]
    known, wrong = (part[:, : outcomes.n_known] for part in (outcomes.known, outcomes.wrong_decisions))
    p_wrong, doubt, flags = table_decisions(outcomes.table, classes), _doubt(outcomes), _flags(outcomes)
    columns = [None if part is None else part.T for part in (p_wrong, doubt, flags)]
    rows = [
        _row(name, wrong[here, k], *(None if part is None else part[k][here] for part in columns))
        for k, (name, here) in enumerate(zip(classes, known.T, strict=True))
    ]
    n, errors = int(known.sum()), int(wrong.sum())
    return DecisionReport(
        n=n,
        unanswered=int((~known).sum()),
        errors=errors,
        accuracy=1 - errors / n if n else None,
        mean_auroc=_mean([row.auroc for row in rows]),
        mean_auroc_of_confidence=_mean([row.auroc_of_confidence for row in rows if row.auroc is not None]),
        ece=None if p_wrong is None or not n else metrics.ece(wrong[known], p_wrong[known]),
        per_class=tuple(rows),
    )


def _row(
    name: str,
    wrong: NDArray[np.bool_],
    p_wrong: NDArray[Any] | None,
    doubt: NDArray[Any] | None,
    flagged: NDArray[np.bool_] | None,
) -> DecisionRow:
    n, errors = len(wrong), int(wrong.sum())
    ranked = 0 < errors < n
    told = p_wrong if n else None
    return DecisionRow(
        class_name=name,
        n=n,
        errors=errors,
        error_rate=errors / n if n else None,
        predicted_error_rate=None if told is None else float(told.mean()),
        auroc=metrics.auroc(wrong, told) if told is not None and ranked else None,
        auroc_of_confidence=metrics.auroc(wrong, doubt) if doubt is not None and ranked else None,
        ece=None if told is None else metrics.ece(wrong, told),
        brier=None if told is None else metrics.brier(wrong, told),
        flagged=None if flagged is None else int(flagged.sum()),
        errors_flagged=None if flagged is None else int((flagged & wrong).sum()),
    )


def _doubt(outcomes: Outcomes) -> NDArray[Any] | None:
    """(n, c) the probability that was decided against."""
    if outcomes.probs is None:
        return None
    said = outcomes.predicted[:, : outcomes.n_known]
    return np.where(said, 1 - outcomes.probs, outcomes.probs)


def _flags(outcomes: Outcomes) -> NDArray[np.bool_] | None:
    """(n, c) which decisions are flagged; None where no policy on decisions was set."""
    if FLAGGED_LABELS not in outcomes.table.column_names:
        return None
    classes = outcomes.classes[: outcomes.n_known]
    return np.asarray(encoded(outcomes.table[FLAGGED_LABELS], classes, "multilabel"), dtype=np.bool_)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
