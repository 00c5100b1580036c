"""Known-good images that come and go: neighbours see them at once, calibration stays as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from uncertainty.classifiers.base import Classifier, Images, Look
from uncertainty.combination import calibration_sets
from uncertainty.errors import InputError, ModelError, OverlapError
from uncertainty.estimators._known_good import KnownGoodEstimator, KnownGoodRowsEstimator, known_classes, with_index
from uncertainty.estimators.base import Estimator
from uncertainty.neighbors import NeighborIndex
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import serialization
from uncertainty.screener.fitted import Fitted

CHANGES = "known_good_changes"
"""In `calibrated_on`: each change since, with the screener that it was made to."""
_NOTE = "known-good images changed after calibration"
F = TypeVar("F", bound=Fitted)


def added(fitted: F, classifier: Classifier | None, reference: Images | ModelOutputs, options: dict[str, Any]) -> F:
    """Return what a screener knows, with more good images; `options` are those of `Look`.

    Raises OverlapError for images that fitted it already, InputError for a name that it knows.
    """
    rows, known_by, notes = _looked_at(classifier, reference, options)
    fitted.model.check(rows)
    if (seen := np.any([calibration_sets.among(keys, fitted.fitted_on) for keys in known_by], axis=0)).any():
        raise OverlapError(
            f"{int(seen.sum())} of these images, e.g. {str(rows.ids[int(seen.argmax())])!r}, fitted this screener "
            "already; leave them out"
        )
    good, left_out = calibration_sets.known_good(rows)
    for estimator in with_index(fitted.estimators):
        good.require(estimator.column, estimator.name)
    names, classes = [str(name).removeprefix("reference:") for name in good.ids], known_classes(good)
    if known := sorted(set(names) & set(fitted.known_good)):
        raise InputError(
            f"{len(known)} names, e.g. {known[0]!r}, are of known-good images; rename the files, or remove those"
        )
    estimators, index = _changed(fitted, lambda e: e.index_.add(getattr(good, e.column), classes))
    for estimator in _keeping_rows(estimators):
        estimator.rows_added(good)
    order = np.argsort(np.concatenate([index.classes, classes]), kind="stable")
    everybody = [*fitted.known_good, *names]
    now = replace(
        fitted,
        estimators=estimators,
        known_good=tuple(everybody[i] for i in order) if len(everybody) == len(order) else fitted.known_good,
        fitted_on=np.union1d(fitted.fitted_on, calibration_sets.hashed(chain(*known_by))),
        notes=_without_ours(fitted.notes, *notes, *left_out),
    )
    return _told(now, fitted, names, added=len(names))


def removed(fitted: F, names: Iterable[str]) -> F:
    """Return what a screener knows, without some known-good images; those stay images that fitted it.

    Raises InputError for a name that it does not know, and where none would be left.
    """
    gone, known = sorted(set(names)), {name: row for row, name in enumerate(fitted.known_good)}
    if unknown := [name for name in gone if name not in known]:
        raise InputError(
            f"{len(unknown)} names, e.g. {unknown[0]!r}, are of no known-good image of this screener, which keeps "
            f"{len(known)}" + (f", e.g. {fitted.known_good[0]!r}" if known else "; fit it again to have their names")
        )
    rows = [known[name] for name in gone]
    estimators, _ = _changed(fitted, lambda e: e.index_.remove(rows))
    for estimator in _keeping_rows(estimators):
        estimator.rows_removed(np.array(rows, dtype=np.int64))
    kept = tuple(name for name in fitted.known_good if name not in set(gone))
    now = replace(fitted, estimators=estimators, known_good=kept, notes=_without_ours(fitted.notes))
    return _told(now, fitted, gone, removed=len(gone))


def read_names(path: Path) -> list[str]:
    """Return the names in a text file, one a line; InputError for a file that can't be read, or that has none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}; give a text file with one name a line") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise InputError(f"{path} holds no names; give one a line")
    return names


def _looked_at(
    classifier: Classifier | None, reference: Images | ModelOutputs, options: dict[str, Any]
) -> tuple[ModelOutputs, Sequence[Sequence[str]], Sequence[str]]:
    """Return outputs, lists of what is remembered of each row, and notes."""
    if isinstance(reference, ModelOutputs):
        return reference, [[str(name) for name in reference.ids]], ()
    if classifier is None:
        raise ModelError("this screener has no classifier; give one to Screener.load, or add outputs of it")
    collected, notes = calibration_sets.collect_reference(classifier, reference, Look(**options))
    return collected.outputs, [collected.digests, collected.pixels], notes


def _changed(
    fitted: Fitted, change: Callable[[KnownGoodEstimator], NeighborIndex]
) -> tuple[tuple[Estimator, ...], NeighborIndex]:
    """Return the estimators with changed indexes, shared as before, and an index as it was."""
    kept = with_index(fitted.estimators)
    if not kept:
        raise InputError("this screener compares with no known-good images; fit it with nn_distance or trust_ratio")
    new: dict[int, NeighborIndex] = {}
    estimators = []
    for estimator in map(copy, fitted.estimators):
        for one in with_index([estimator]):
            before = id(one.index_)
            new[before] = new[before] if before in new else change(one)
            one.index_ = new[before]
        estimators.append(estimator)
    return tuple(estimators), kept[0].index_


def _keeping_rows(estimators: Sequence[Estimator]) -> list[KnownGoodRowsEstimator]:
    return [estimator for estimator in with_index(estimators) if isinstance(estimator, KnownGoodRowsEstimator)]


def _without_ours(notes: Sequence[str], *new: str) -> tuple[str, ...]:
    return (*(note for note in notes if not note.startswith(_NOTE)), *new)


def _told(now: F, before: Fitted, names: Sequence[str], added: int = 0, removed: int = 0) -> F:
    """Say in `calibrated_on` and `notes` that calibration came before the change."""
    sha = hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    step = {"from": serialization.fingerprint(before), "added": added, "removed": removed, "names": sha}
    steps = [*before.calibrated_on.get(CHANGES, []), step]
    as_before = [
        e.name
        for e in before.estimators
        if e.fit_needs and e.learns_from == "reference" and not isinstance(e, KnownGoodEstimator)
    ]
    text = (
        f"{_NOTE}: {sum(s['added'] for s in steps)} added, {sum(s['removed'] for s in steps)} removed; neighbours see "
        f"it, {', '.join(['p_wrong, thresholds', *as_before])} are as calibrated before; fit again after many changes"
    )
    return replace(now, calibrated_on={**before.calibrated_on, CHANGES: steps}, notes=(*now.notes, text))
