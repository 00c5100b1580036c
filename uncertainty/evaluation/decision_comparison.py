"""Several labels an image, in two runs: on which classes the decisions got better or worse, beyond luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.paired import (
    Paired,
    Resampling,
    accuracies,
    grouped_mcnemar,
    paired_scores,
)
from uncertainty.evaluation.screening_quality import fewer_resamples
from uncertainty.labels.tables import table_decisions, task_of
from uncertainty.metrics.bootstrap import Metric
from uncertainty.metrics.intervals import Groups
from uncertainty.metrics.stratified_test import holm
from uncertainty.verdicts import Verdicts

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL = 0.05
_MEASURES: dict[str, Metric] = {"auroc": metrics.auroc, "brier": metrics.brier}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DecisionChange:
    """The decisions on one class whose answer is known, in run A and in run B.

    `p` is of McNemar's exact test, `p_holm` of it corrected for all classes. The intervals of `accuracy`, and of
    `auroc` and `brier` of `p_wrong_<class>` for the errors of the run, hold for all classes at once: each is sure to
    1 - 0.05 / classes. `p_wrong` says whether that of `auroc` leaves zero out.
    """

    class_name: str
    n: int
    wrong_a: int
    wrong_b: int
    fixed: int
    broken: int
    p: float
    p_holm: float
    conclusion: str
    accuracy: Paired
    auroc: Paired | None
    brier: Paired | None
    p_wrong: str


@dataclass(frozen=True)
class DecisionComparison:
    """All decisions on the classes of both runs, and class by class, the surest changes first.

    `p` and `accuracy` are of all of them, those of an image (or of its group) counted as what belongs together.
    """

    n: int
    fixed: int
    broken: int
    p: float
    accuracy: Paired
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    """Classes that one run alone decides on, which are left out."""
    per_class: tuple[DecisionChange, ...]


@dataclass(frozen=True, eq=False)
class _Run:
    """(n, c) decisions of one run on the classes of both."""

    wrong: Mask
    known: Mask
    p_wrong: NDArray[np.float64] | None

    @classmethod
    def of(cls, outcomes: Outcomes, classes: Sequence[str]) -> _Run:
        own = outcomes.classes[: outcomes.n_known]
        at = [own.index(name) for name in classes]
        told = table_decisions(outcomes.table, own)
        return cls(
            outcomes.wrong_decisions[:, at],
            outcomes.known[:, at],
            None if told is None else told[:, at].astype(np.float64),
        )


def compare_decisions(
    a: pa.Table, b: pa.Table, resampling: Resampling, groups: Groups = None
) -> DecisionComparison | None:
    """Compare the decisions of two verdict tables with the same labelled rows.

    None where an image has one label, and where a table does not say which classes there are.
    """
    if not (len(a) and task_of(a) == task_of(b) == "multilabel"):
        return None
    if any(Verdicts(table).classes is None for table in (a, b)):  # a CSV of more classes than have columns
        return None
    outcomes = [Outcomes.from_verdicts(table) for table in (a, b)]
    own = [one.classes[: one.n_known] for one in outcomes]
    classes = [name for name in own[0] if name in own[1]]
    runs = [_Run.of(one, classes) for one in outcomes]
    known = runs[0].known & runs[1].known
    wrong = [run.wrong[known] for run in runs]
    together = np.arange(len(known)) if groups is None else groups
    of = np.broadcast_to(together[:, None], known.shape)[known].astype(np.int64)
    return DecisionComparison(
        n=int(known.sum()),
        fixed=int((wrong[0] & ~wrong[1]).sum()),
        broken=int((~wrong[0] & wrong[1]).sum()),
        p=grouped_mcnemar(wrong[0] & ~wrong[1], ~wrong[0] & wrong[1], of),
        accuracy=accuracies(wrong, of),
        only_in_a=tuple(name for name in own[0] if name not in own[1]),
        only_in_b=tuple(name for name in own[1] if name not in own[0]),
        per_class=_per_class(runs, known, classes, resampling, groups),
    )


def _per_class(
    runs: Sequence[_Run], known: Mask, classes: Sequence[str], resampling: Resampling, groups: Groups
) -> tuple[DecisionChange, ...]:
    """Test every class that has a known answer, and correct for all of them."""
    tested = [k for k in range(len(classes)) if known[:, k].any()]
    if not tested:
        return ()
    count = fewer_resamples(resampling.resamples, len(known) * len(tested))
    family = Resampling(count, resampling.seed, 1 - LEVEL / len(tested))
    found = [_change(classes[k], _column(runs, known[:, k], k), family, _of(groups, known[:, k])) for k in tested]
    corrected = holm(np.array([one.p for one in found])).tolist()
    done = [replace(one, p_holm=p, conclusion=_conclusion(one, p)) for one, p in zip(found, corrected, strict=True)]
    return tuple(sorted(done, key=lambda one: (one.p, -abs(one.fixed - one.broken))))


def _of(groups: Groups, rows: Mask) -> Groups:
    """Return the groups of some rows, numbered from 0 on."""
    return None if groups is None else np.unique(groups[rows], return_inverse=True)[1].astype(np.int64)


def _column(runs: Sequence[_Run], rows: Mask, k: int) -> list[_Run]:
    """Return the known decisions on one class, (m,) each."""
    return [
        _Run(run.wrong[rows, k], run.known[rows, k], None if run.p_wrong is None else run.p_wrong[rows, k])
        for run in runs
    ]


def _change(name: str, runs: Sequence[_Run], family: Resampling, groups: Groups) -> DecisionChange:
    wrong = [run.wrong for run in runs]
    fixed, broken = wrong[0] & ~wrong[1], ~wrong[0] & wrong[1]
    told = [run.p_wrong for run in runs if run.p_wrong is not None]
    scores = paired_scores(_MEASURES, wrong, told, family, groups) if len(told) == len(runs) else {}
    return DecisionChange(
        class_name=name,
        n=len(fixed),
        wrong_a=int(wrong[0].sum()),
        wrong_b=int(wrong[1].sum()),
        fixed=int(fixed.sum()),
        broken=int(broken.sum()),
        p=(p := grouped_mcnemar(fixed, broken, groups)),
        p_holm=p,
        conclusion="",
        accuracy=accuracies(wrong, groups, family.level),
        auroc=scores.get("auroc"),
        brier=scores.get("brier"),
        p_wrong=_ranking(scores.get("auroc")),
    )


def _conclusion(one: DecisionChange, p: float) -> str:
    if p >= LEVEL:
        return "no evidence"
    return "better" if one.fixed > one.broken else "worse"


def _ranking(auroc: Paired | None) -> str:
    change = None if auroc is None else auroc.difference
    if change is None or not change.known or change.low <= 0 <= change.high:
        return "no evidence"
    return "better" if change.low > 0 else "worse"
