"""Two runs over the same images: what got fixed, what broke, and whether the difference is more than luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.brief import Brief
from uncertainty.errors import InputError
from uncertainty.evaluation.decision_comparison import DecisionComparison, compare_decisions
from uncertainty.evaluation.paired import Paired, Resampling, accuracies, grouped_mcnemar, paired_scores
from uncertainty.evaluation.screening_quality import METRICS, P_WRONG, fewer_resamples, labelled_rows, measurable
from uncertainty.files import plain
from uncertainty.labels.tables import parts, task_of
from uncertainty.metrics.bootstrap import Metric
from uncertainty.metrics.intervals import group_numbers

if TYPE_CHECKING:
    import pyarrow as pa

_LISTED = ("predicted_label", "confidence", P_WRONG, "flagged", "reasons")
_SHOWN = 3


@dataclass(frozen=True)
class Flags:
    """On how many common images the flags agree; kappa is Cohen's, agreement beyond chance, None where undefined."""

    both: int
    only_a: int
    only_b: int
    neither: int
    agreement: float | None
    kappa: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Brief):
    """Run B against run A on the images that both read and that have a label, of several labels with every answer.

    `fixed` were wrong in A and are right in B, `broken` the other way round; `p` is of McNemar's exact test of their
    numbers. `scores` are the METRICS of each run's `p_wrong` for the errors of that run, with "brier" and "ece".
    """

    n: int
    only_in_a: int
    only_in_b: int
    unread_or_unlabelled: int
    both_right: int
    both_wrong: int
    n_fixed: int
    n_broken: int
    p: float
    accuracy: Paired
    scores: dict[str, Paired]
    flags: Flags
    resamples: int
    fixed: pa.Table
    broken: pa.Table
    decisions: DecisionComparison | None = None
    """Of several labels an image: the decisions on each class; None where an image has one label."""

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, strings and dictionaries, without the two lists of images."""
        return {name: plain(value) for name, value in vars(self).items() if name not in ("fixed", "broken")}


def compare(
    a: pa.Table, b: pa.Table, *, seed: int = 0, resamples: int = 1000, groups: Mapping[str, str] | None = None
) -> Comparison:
    """Compare two verdict tables that have the same labels, see `evaluation.join_labels`, image by image.

    Images in one table only are counted and left out. `groups` says by file name which images belong together: then
    intervals count groups, and `p` is of changes whose sign is tossed for each group. Raises InputError where no image
    is in both, or where a label differs between the tables.
    """
    told_a, told_b, counts = _common(a, b)
    rows_a, rows_b = measurable(told_a), measurable(told_b)
    counts["unread_or_unlabelled"] += len(told_a) - len(rows_a)
    wrong = [~np.asarray(rows["correct"].to_pylist(), dtype=np.bool_) for rows in (rows_a, rows_b)]
    p_wrong = [np.asarray(rows[P_WRONG].to_numpy(zero_copy_only=False), dtype=np.float64) for rows in (rows_a, rows_b)]
    fixed, broken = wrong[0] & ~wrong[1], ~wrong[0] & wrong[1]
    resamples = fewer_resamples(resamples, len(fixed))
    together, of_told = (group_numbers(rows["file_name"].to_pylist(), groups) for rows in (rows_a, told_a))
    measures: dict[str, Metric] = {**METRICS, "brier": metrics.brier, "ece": metrics.ece}
    resampling = Resampling(resamples, seed)
    return Comparison(
        n=len(fixed),
        **counts,
        both_right=int((~wrong[0] & ~wrong[1]).sum()),
        both_wrong=int((wrong[0] & wrong[1]).sum()),
        n_fixed=int(fixed.sum()),
        n_broken=int(broken.sum()),
        p=grouped_mcnemar(fixed, broken, together),
        accuracy=accuracies(wrong, together),
        scores=paired_scores(measures, wrong, p_wrong, resampling, together),
        flags=_flags(*(np.asarray(rows["flagged"].to_pylist(), dtype=np.bool_) for rows in (rows_a, rows_b))),
        resamples=resamples,
        fixed=_changed(rows_a, rows_b, fixed),
        broken=_changed(rows_a, rows_b, broken),
        decisions=compare_decisions(told_a, told_b, resampling, of_told),
    )


def _common(a: pa.Table, b: pa.Table) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """The labelled rows that are in both, in the order of the first, and how many images are left out and why."""
    names = [table["file_name"].to_pylist() for table in (a, b)]
    for which, listed in zip("AB", names, strict=True):
        if len(set(listed)) < len(listed):
            raise InputError(f"run {which} names an image more than once; each image must be named once")
    both = set(names[0]) & set(names[1])
    if not both:
        shown = f"{names[0][:_SHOWN]} and {names[1][:_SHOWN]}"
        raise InputError(f"no image is in both runs, which name {shown}; screen the same folder twice")
    rows_a, rows_b = labelled_rows(a), labelled_rows(b)
    kept_a, kept_b = ({name: i for i, name in enumerate(rows["file_name"].to_pylist())} for rows in (rows_a, rows_b))
    common = [name for name in kept_a if name in kept_b]
    rows_a, rows_b = (
        rows.take(np.array([kept[name] for name in common], dtype=np.int64))
        for rows, kept in ((rows_a, kept_a), (rows_b, kept_b))
    )
    _check_labels(common, rows_a, rows_b)
    counts = [len(names[0]) - len(both), len(names[1]) - len(both), len(both) - len(common)]
    return rows_a, rows_b, dict(zip(("only_in_a", "only_in_b", "unread_or_unlabelled"), counts, strict=True))


def _check_labels(names: Sequence[str], a: pa.Table, b: pa.Table) -> None:
    several = task_of(a) == task_of(b) == "multilabel"
    for name, one, other in zip(names, a["label"].to_pylist(), b["label"].to_pylist(), strict=True):
        if one != other and not (several and tuple(map(set, parts(one))) == tuple(map(set, parts(other)))):
            raise InputError(f"{name!r} is labelled {one!r} in run A and {other!r} in run B; give both the same labels")


def _flags(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Flags:
    both, only_a, only_b = int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum())
    n, neither = len(a), int((~a & ~b).sum())
    if not n:
        return Flags(0, 0, 0, 0, None, None)
    agreement = (both + neither) / n
    chance = (a.mean() * b.mean()) + (1 - a.mean()) * (1 - b.mean())
    return Flags(
        both, only_a, only_b, neither, agreement, float((agreement - chance) / (1 - chance)) if chance < 1 else None
    )


def _changed(a: pa.Table, b: pa.Table, which: NDArray[np.bool_]) -> pa.Table:
    """The changed images with what both runs said of them, the surest of run B first."""
    import pyarrow as pa

    rows = np.flatnonzero(which)
    if "confidence" in b.column_names:
        rows = rows[np.argsort(-np.asarray(b["confidence"].to_numpy(zero_copy_only=False))[rows], kind="stable")]
    columns = {name: a[name].take(rows) for name in ("file_name", "label")}
    for run, table in (("a", a), ("b", b)):
        columns |= {f"{name}_{run}": table[name].take(rows) for name in _LISTED if name in table.column_names}
    return pa.table(columns)
