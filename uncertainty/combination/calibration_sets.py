"""The sets a screener is fitted on: known-good reference, labelled calibration, copies made of calibration."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import ArrayItem, Classifier, Collected, Images, Look, image_items
from uncertainty.combination.fit import FOLDS
from uncertainty.errors import CalibrationError, InputError, OverlapError
from uncertainty.estimators._known_good import right_rows, settle
from uncertainty.estimators.base import Estimator
from uncertainty.images.corruptions import random_corruption
from uncertainty.images.novelty import random_foreign
from uncertainty.images.sources import ImageSet
from uncertainty.outputs import UNKNOWN_CLASS, ModelOutputs

_ON_REQUEST = {"embedding", "tta_probs"}  # nobody misses what was not asked for
AUTO_VIEWS = "auto"
"""In place of view names: those that the classifier bears, judged on calibration images."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Outputs of the sets, the ids that say which images they were, and what there is to say about them."""

    reference: ModelOutputs
    calibration: ModelOutputs
    damaged: ModelOutputs | None
    foreign: ModelOutputs | None
    ids: NDArray[np.uint64]
    notes: tuple[str, ...]
    views: tuple[str, ...] = ()


def collect(
    classifier: Classifier,
    reference: Images | None,
    calibration: Images,
    look: Look,
    views: Sequence[str] = (),
    *,
    damaged: bool,
    foreign: bool,
) -> Sets:
    """Run the classifier over reference, calibration, and a damaged and a foreign copy of each calibration image.

    Without `reference`, the calibration images are split in two halves by the seed. Raises OverlapError where the same
    image, by content, is in both sets, and CalibrationError where calibration has no usable labels. Equal file names
    mean nothing: `train/cat/1.png` and `val/cat/1.png` are two images. `views` are those of the look, or ("auto",).
    """
    from uncertainty.classifiers.views import VIEWS, bearable, check_views

    notes: list[str] = []
    auto = tuple(views) == (AUTO_VIEWS,)
    check_views(() if auto else views)  # better refused now than after the reference has been run
    labelled = _labelled(calibration)
    if one_set := reference is None:
        reference, labelled = _halves(labelled, look.seed)
        notes.append(
            f"one labelled set was given: {len(reference)} of its images became the reference, the rest calibration"
        )
    good, unreadable = collect_reference(classifier, reference, look)
    held_out = classifier.collect(labelled, replace(look, views=tuple(VIEWS) if auto else views))
    notes += unreadable + _unreadable("calibration", held_out)
    if one_set:
        held_out, left_out = _without_copies(good, held_out)
        notes += left_out
    _refuse_same_images(good, held_out)
    notes += _checked_labels(classifier, held_out)
    if auto:
        views, outputs = bearable(held_out.outputs)
        held_out = replace(held_out, outputs=outputs)
        notes.append(f"views that the classifier bears on calibration images: {', '.join(views) or 'none'}")

    def copies(make: Any) -> ModelOutputs:
        damage = partial(make, seed=look.seed)
        made = classifier.collect(labelled, replace(look, views=views, damage=damage))
        return _copies_of(held_out.outputs, made)

    return Sets(
        reference=_renamed(good.outputs),
        calibration=held_out.outputs,
        damaged=copies(_damaged_copy) if damaged else None,
        foreign=_of_no_class(copies(_foreign_copy)) if foreign else None,
        ids=hashed([*good.digests, *held_out.digests]),
        notes=tuple(notes),
        views=tuple(views),
    )


def collect_reference(classifier: Classifier, images: Images, look: Look) -> tuple[Collected, list[str]]:
    """Run the classifier once over known-good images; say what can't be read."""
    good = classifier.collect(_labelled_if_known(images, classifier), replace(look, passes=0))
    return good, _unreadable("reference", good)


def _renamed(reference: ModelOutputs) -> ModelOutputs:
    """Mark the ids, which are file names: images were compared by content, and the same name may be in both sets."""
    return replace(reference, ids=[f"reference:{name}" for name in reference.ids])


def _unreadable(name: str, collected: Collected) -> list[str]:
    if not collected.failures:
        return []
    file, why = collected.failures[0]
    return [f"{len(collected.failures)} {name} images can't be read and were left out, e.g. {file!r}: {why}"]


def _labelled(calibration: Images) -> ImageSet:
    items = image_items(calibration)
    if not isinstance(items, ImageSet):
        raise InputError("arrays carry no labels; run the classifier yourself and use Screener.fit_outputs")
    return items.labelled()


def _labelled_if_known(reference: Images, classifier: Classifier) -> ImageSet | list[ArrayItem]:
    """Give reference images their folder names as labels where every folder is a class; else they have none."""
    items = image_items(reference)
    if (
        isinstance(items, ImageSet)
        and items.labels is None
        and items.folder_labels is not None
        and set(items.folder_labels) <= set(classifier.classes)
    ):
        return items.labelled()
    return items


def _halves(items: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    order = np.random.default_rng(seed).permutation(len(items))
    half = len(items) // 2
    return items.select(np.sort(order[:half])), items.select(np.sort(order[half:]))


def _damaged_copy(pixels: NDArray[np.uint8], name: str, *, seed: int) -> NDArray[np.uint8]:
    return random_corruption(pixels, name, seed)[0]


def _foreign_copy(pixels: NDArray[np.uint8], name: str, *, seed: int) -> NDArray[np.uint8]:
    return random_foreign(pixels, name, seed)[0]


def _of_no_class(outputs: ModelOutputs) -> ModelOutputs:
    return replace(outputs, labels=np.full(len(outputs), UNKNOWN_CLASS))


def _without_copies(reference: Collected, calibration: Collected) -> tuple[Collected, list[str]]:
    """Leave out of one half the images that the other half holds under another name."""
    new = np.flatnonzero(~np.isin(calibration.digests, reference.digests))
    if not (found := len(calibration.digests) - len(new)):
        return calibration, []
    kept = replace(
        calibration,
        outputs=calibration.outputs.take(new),
        digests=tuple(calibration.digests[i] for i in new),
        labels=tuple(calibration.labels[i] for i in new),
    )
    return kept, [f"{found} calibration images were left out: the reference holds the same images under other names"]


def _copies_of(originals: ModelOutputs, copies: Collected) -> ModelOutputs:
    """Keep the copies whose original is there too; a copy carries the id of its original."""
    present = np.isin(copies.outputs.ids, originals.ids)
    return copies.outputs.take(present)


def _refuse_same_images(reference: Collected, calibration: Collected) -> None:
    known = dict(zip(reference.digests, reference.outputs.ids, strict=True))
    pairs = zip(calibration.digests, calibration.outputs.ids, strict=True)
    shared = [(str(known[digest]), str(name)) for digest, name in pairs if digest in known]
    if shared:
        raise OverlapError(
            f"{len(shared)} calibration images are in the reference too, e.g. {shared[0][1]!r} is {shared[0][0]!r}; "
            "p_wrong would be far too low: take them out of one of the two"
        )


def refuse_overlap(first: ModelOutputs, second: ModelOutputs, names: str) -> None:
    """Raise OverlapError where two tables share ids; `names` says which tables they are."""
    if len(shared := np.intersect1d(first.ids, second.ids)):
        raise OverlapError(f"{names} share {len(shared)} ids, e.g. {str(shared[0])!r}; they must be disjoint")


def refuse(count: int, example: str) -> None:
    """Raise OverlapError: rows to screen have fitted the screener."""
    raise OverlapError(
        f"{count} of these rows, e.g. {example!r}, fitted this screener; their p_wrong would be too low, screen others"
    )


def hashed(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return 64-bit hashes, sorted: enough to recognise an id, not enough to read it."""
    return np.unique(_hashes(ids))


def among(ids: Iterable[str], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return, for each id in order, whether its hash is one of those that `hashed` returned."""
    return np.isin(_hashes(ids), known)


def _hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    digests = [hashlib.blake2b(i.encode("utf-8", "surrogatepass"), digest_size=8).digest() for i in ids]
    return np.asarray([int.from_bytes(one, "little") for one in digests], dtype=np.uint64)


def _checked_labels(classifier: Classifier, calibration: Collected) -> list[str]:
    """Raise CalibrationError without usable labels; say which labels and classes have no counterpart."""
    labels = calibration.outputs.labels
    if classifier.task == "multilabel":
        raise CalibrationError(
            "the labels of a multilabel model can't be read from images; run the classifier, add labels of shape "
            "(n, classes) to its outputs, and use Screener.fit_outputs"
        )
    if labels is None:
        missing = sum(label is None for label in calibration.labels)
        raise CalibrationError(
            f"{missing} of {len(calibration.labels)} calibration images have no label; "
            "use one folder for each class, or a manifest with a label column"
        )
    foreign = np.flatnonzero(labels == UNKNOWN_CLASS)
    if len(labels) and len(foreign) == len(labels):
        raise CalibrationError(
            f"not one calibration label, e.g. {calibration.labels[0]!r}, is a class of the model, "
            f"e.g. {classifier.classes[0]!r}; give the class names in the order of the model's outputs"
        )
    notes = []
    if len(foreign):
        example = calibration.labels[foreign[0]]
        notes.append(
            f"{len(foreign)} calibration labels (e.g. {example!r}) are no class of the model; they count as wrong"
        )
    if unseen := sorted(set(range(len(classifier.classes))) - set(labels.tolist())):
        example = classifier.classes[unseen[0]]
        notes.append(f"{len(unseen)} of {len(classifier.classes)} classes, e.g. {example!r}, have no calibration image")
    return notes


def known_good(reference: ModelOutputs) -> tuple[ModelOutputs, tuple[str, ...]]:
    """Leave out reference rows that the classifier gets wrong, where labels tell."""
    if reference.labels is None:
        return reference, ()
    right = ~reference.wrong
    if not right.any():
        raise CalibrationError("the classifier gets every reference row wrong; are the class names in the right order?")
    if right.all():
        return reference, ()
    note = f"{int((~right).sum())} of {len(right)} reference rows were left out: the classifier gets them wrong"
    return right_rows(reference), (note,)


def fit_estimators(
    estimators: Sequence[Estimator], reference: ModelOutputs, calibration: ModelOutputs
) -> tuple[tuple[Estimator, ...], tuple[str, ...]]:
    """Fit copies of those estimators for which there is enough to learn; say by name which were left out, and why.

    `reference` is all of it; those that learn from it alone get the rows that the classifier gets right.
    """
    good = right_rows(reference)
    names = [estimator.name for estimator in estimators]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"the estimator {twice[0]!r} is given twice; its scores have one column in the verdicts")
    fitted: list[Estimator] = []
    notes: list[str] = []
    for estimator in estimators:
        rows = good if estimator.learns_from == "reference" else calibration
        missing = [c for c in estimator.needs if not calibration.has(c)]
        missing += [c for c in estimator.fit_needs if not rows.has(c) and c not in missing]
        missing += [c for c in estimator.reference_needs if not reference.has(c) and c not in missing]
        if set(missing) & _ON_REQUEST:
            continue
        if missing:
            notes.append(f"{estimator.name} is off: there is no {' and no '.join(missing)}")
        elif calibration.task not in estimator.tasks:
            notes.append(f"{estimator.name} is off: it has no {calibration.task} form")
        elif estimator.learns_from == "calibration" and (why := _too_few(estimator, calibration)):
            notes.append(f"{estimator.name} is off: {why}")
        else:
            fitted.append(copy(estimator).fit(rows, reference))
            notes += [f"{estimator.name}: {note}"] if (note := fitted[-1].note()) else []
    if not fitted:
        why = "; ".join(notes) or "none was given"
        raise CalibrationError(f"no estimator can be used with these outputs: {why}")
    return tuple(fitted), (*notes, *settle(fitted, calibration))


def _too_few(estimator: Estimator, calibration: ModelOutputs) -> str:
    """Say what is missing where an estimator could not learn without one fold, which has its share of the errors."""
    errors = int(calibration.wrong.sum())
    for count, what in ((errors, "errors"), (len(calibration) - errors, "correct images")):
        if count - math.ceil(count / FOLDS) < estimator.fewest:
            return f"calibration has {count} {what}, and it learns from {estimator.fewest} at least beside each fold"
    return ""
