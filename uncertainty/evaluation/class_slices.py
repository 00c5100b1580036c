"""Slices inside each class, where an image may have several labels: are the decisions on cats worse in dark images?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.slices import LEVEL, ClassSlice, Group, groups_of, large_enough
from uncertainty.metrics.stratified_test import Strata, holm


def class_slices(
    outcomes: Outcomes,
    *,
    usual: Mapping[str, Sequence[float]] | None = None,
    by: Sequence[str] | None = None,
    level: float = LEVEL,
) -> tuple[ClassSlice, ...]:
    """Compare each slice of the images of a class with the other images of it, the surest first; () for one label.

    Images of a class are those that have the label or were given it, and whose answer is known; slices, and what they
    are compared with, are those of `slice_report`, of 10 images at least. "more errors" and "fewer errors" are said
    where Fisher's exact test, corrected by Holm for all slices of all classes, is below `level`.
    """
    if outcomes.task == "multiclass":
        return ()
    groups = [one for one in groups_of(outcomes, usual or {}, by) if isinstance(one, Group)]
    found = list(_found(outcomes, groups))
    corrected = holm(np.array([one.p for one in found])).tolist()
    done = (
        replace(one, p_holm=p, conclusion=_conclusion(one, p, level)) for one, p in zip(found, corrected, strict=True)
    )
    return tuple(sorted(done, key=lambda one: one.p))


def _found(outcomes: Outcomes, groups: Sequence[Group]) -> Iterator[ClassSlice]:
    for k, name in enumerate(outcomes.classes):
        mine = (outcomes.truth[:, k] | outcomes.predicted[:, k]) & outcomes.known[:, k]
        wrong = outcomes.wrong_decisions[:, k]
        for group in groups:
            there = group.there & mine
            one = replace(group, inside=group.inside & there, there=there)
            if isinstance(large_enough(one), Group):
                inside, errors = one.inside[there], wrong[there]
                yield ClassSlice(
                    class_name=name,
                    by=group.by,
                    name=group.name,
                    n=int(inside.sum()),
                    n_errors=int((errors & inside).sum()),
                    error_rate=float(errors[inside].mean()),
                    n_rest=int((~inside).sum()),
                    error_rate_rest=float(errors[~inside].mean()),
                    p=(p := Strata.of(inside, errors, np.zeros(len(errors), dtype=np.int64)).exact_p()),
                    p_holm=p,
                    conclusion="",
                )


def _conclusion(one: ClassSlice, p: float, level: float) -> str:
    if p >= level:
        return "no evidence"
    return "more errors" if one.error_rate > one.error_rate_rest else "fewer errors"
