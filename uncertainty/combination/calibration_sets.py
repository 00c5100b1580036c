"""The sets a screener is fitted on: known-good reference, labelled calibration, copies made of calibration."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier, Collected, Images, Look, image_items
from uncertainty.combination.calibration_images import calibration_images
from uncertainty.combination.chance import refuse_chance
from uncertainty.combination.copies import copies
from uncertainty.combination.evidence import Shares
from uncertainty.combination.folds import FOLDS
from uncertainty.combination.halves import halves
from uncertainty.combination.same_images import looks_of, refuse_same_images, without_copies
from uncertainty.combination.truth import labelled_if_known, understood, with_reference_labels, with_truth
from uncertainty.errors import CalibrationError, InputError, OverlapError
from uncertainty.estimators._known_good import right_rows, settle
from uncertainty.estimators.base import Estimator
from uncertainty.figures import number_of
from uncertainty.images.duplicates import Duplicates, same_pictures
from uncertainty.images.formats.base import WHOLE
from uncertainty.images.label_text import unwritable
from uncertainty.images.near_copies import near_copies
from uncertainty.images.remarks import in_words
from uncertainty.images.sources import ImageSet
from uncertainty.labels.label_sets import understand
from uncertainty.outputs import ModelOutputs, Task

logger = logging.getLogger("uncertainty")
_ON_REQUEST = {"embedding", "tta_probs"}  # nobody misses what was not asked for
_CALLED = {"mc_probs": "MC dropout (mc_probs)"}  # who runs a network gave no such column
_HALF = 0.5
AUTO_VIEWS = "auto"
"""Before view names: those of them that the classifier bears, judged on calibration images; alone: of all."""


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
    labelled_reference: NDArray[np.bool_] | None = None
    """(m,) reference rows whose label is a truth, where others have what the classifier says in its place."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a fit asks of its sets.

    Parameters
    ----------
    shares : copies of calibration images are made where their share is above 0.
    groups : by name, which images belong together; one set is split in whole groups.
    drop_duplicates : whether calibration images that the reference holds too are left out; else they are refused.
    compared : what both sets share, where somebody has looked before.

    """

    shares: Shares
    groups: Mapping[str, str] | None = None
    drop_duplicates: bool = False
    compared: Duplicates | None = None


def collect(
    classifier: Classifier,
    reference: Images | None,
    calibration: Images,
    look: Look,
    views: Sequence[str],
    asked: Asked,
) -> Sets:
    """Run the classifier over reference, calibration, and damaged and foreign copies of calibration images.

    Without `reference`, the calibration images are split in two halves by the seed. Raises OverlapError where the same
    image, by content, is in both sets, and CalibrationError where calibration has no usable labels, both before the
    network runs. Equal file names mean nothing: `train/cat/1.png` and `val/cat/1.png` are two images. `views` are those
    of the look; behind "auto", those of them that the classifier bears.
    """
    from uncertainty.classifiers.views import VIEWS, bearable, check_views

    notes: list[str] = []
    auto = tuple(views[:1]) == (AUTO_VIEWS,)
    views = check_views(views[1:] or tuple(VIEWS)) if auto else check_views(views)  # better refused now than later
    labelled, deeper = _calibration(classifier, calibration, divided=reference is None)
    notes += deeper
    one_set = reference is None
    reference, labelled, found = _apart(classifier, reference, labelled, look, asked)
    notes += found
    good, of_reference = collect_reference(classifier, reference, look)
    held_out = classifier.collect(labelled, replace(look, views=views))
    notes += of_reference + _found("calibration", labelled, held_out)
    if one_set or asked.drop_duplicates:
        held_out, left_out = without_copies(good, held_out)
        notes += left_out
    refuse_same_images(good, held_out)
    held_out, about_labels = with_truth(classifier, held_out)
    refuse_chance(held_out.outputs)
    # What makes all else worthless comes first.
    notes = [*about_labels, *notes, *near_copies(looks_of(good), looks_of(held_out))]
    if auto:
        views, outputs = bearable(held_out.outputs, views)
        held_out = replace(held_out, outputs=outputs)
        notes.append(f"views that the classifier bears on calibration images: {', '.join(views) or 'none'}")

    copied = partial(copies, classifier, labelled, held_out, replace(look, views=views))
    return Sets(
        reference=_renamed(good.outputs),
        calibration=held_out.outputs,
        damaged=copied("damaged") if asked.shares.damaged > 0 else None,
        foreign=copied("foreign") if asked.shares.foreign > 0 else None,
        ids=hashed([*good.digests, *held_out.digests, *good.pixels, *held_out.pixels]),
        notes=tuple(notes),
        views=tuple(views),
        labelled_reference=None if good.outputs.labels is None else _truly_labelled(classifier, good),
    )


def _calibration(classifier: Classifier, calibration: Images, *, divided: bool) -> tuple[Any, list[str]]:
    """Return calibration with labels that are understood, as far as they are known before the images are read."""
    labelled, notes = calibration_images(calibration, classifier.classes, divided=divided)
    if labelled.labels is not None:
        understood(classifier, labelled.labels)
    return labelled, notes


def _apart(
    classifier: Classifier, reference: Images | None, labelled: Any, look: Look, asked: Asked
) -> tuple[Any, Any, list[str]]:
    """Return reference and calibration, one set divided or two that share nothing, and notes."""
    if reference is None:
        good, held_out = halves(labelled, look.seed, asked.groups)
        return good, held_out, _divided(good, held_out, "" if asked.groups is None else ", in whole groups")
    items = image_items(reference)
    return items, *_without_duplicates(classifier, items, labelled, look.workers, asked)


def _without_duplicates(
    classifier: Classifier, reference: Any, labelled: Any, workers: int, asked: Asked
) -> tuple[Any, list[str]]:
    """Refuse what is in both sets, or leave it out where that is asked for; streams are looked at as they are run."""
    if not all(isinstance(items, ImageSet | list) for items in (reference, labelled)):
        return labelled, []
    reading, early = classifier.preprocess.reading, asked.compared
    if early is None or reading != WHOLE or not early.is_of(reference, labelled):
        early, found = None, same_pictures(reference, labelled, reading, workers)
    else:
        found = replace(early, calibration=labelled)
    if not asked.drop_duplicates:
        found.refuse()
    elif len(found.rows) == len(labelled):
        raise OverlapError(f"all {len(labelled)} calibration images are in the reference too; give others")
    for note in found.near_copies() if early is None else ():
        logger.warning("%s", note)
    return found.left_out()


def collect_reference(classifier: Classifier, images: Images, look: Look) -> tuple[Collected, list[str]]:
    """Run the classifier once over known-good images; say what can't be read."""
    items, notes = labelled_if_known(image_items(images), classifier)
    good, more = with_reference_labels(classifier, classifier.collect(items, replace(look, passes=0)))
    return good, [*notes, *more, *_found("reference", items, good)]


def _truly_labelled(classifier: Classifier, reference: Collected) -> NDArray[np.bool_]:
    return understand(reference.labels, classifier.classes, classifier.task).usable


def _renamed(reference: ModelOutputs) -> ModelOutputs:
    """Mark the ids, which are file names: images were compared by content, and the same name may be in both sets."""
    return replace(reference, ids=[f"reference:{name}" for name in reference.ids])


def _found(name: str, items: Any, collected: Collected) -> list[str]:
    """Say how the images of a set were found, what could not be read, and what is odd about those that could."""
    notes = [f"{name}: {note}" for note in (*getattr(items, "notes", ()), *in_words(collected.remarks))]
    if not collected.failures:
        return notes
    file, why = collected.failures[0]
    images = f"{name} image can't be read and was", f"{name} images can't be read and were"
    left_out = number_of(len(collected.failures), *images)
    return [*notes, f"{left_out} left out, e.g. {file!r}: {why}"]


def _divided(reference: Any, calibration: Any, how: str) -> list[str]:
    """Say how one set was divided, and of which classes whole groups left one half without an image."""
    n = len(reference)
    notes = [f"one labelled set was given: {n} of its images became the reference, the rest calibration{how}"]
    if not how:
        return notes
    labels = [() if half.labels is None else half.labels for half in (reference, calibration)]
    classes = [{str(label) for label in of if label is not None} for of in labels]
    for name, missing in (("reference", classes[1] - classes[0]), ("calibration", classes[0] - classes[1])):
        if missing:
            example = f"no image of {len(missing)} classes, e.g. {min(missing)!r}"
            notes.append(f"{name}: {example}, whose groups are all in the other half; give a reference, too")
    return notes


def refuse_overlap(first: ModelOutputs, second: ModelOutputs, names: str) -> None:
    """Raise OverlapError where two tables share ids; `names` says which tables they are."""
    if len(shared := np.intersect1d(first.ids, second.ids)):
        raise OverlapError(f"{names} share {len(shared)} ids, e.g. {str(shared[0])!r}; they must be disjoint")


def refuse_unwritable(classes: Iterable[str], task: Task) -> None:
    """Raise CalibrationError where a class has a name that texts of several labels can't tell."""
    for name in classes if task == "multilabel" else ():
        if (why := unwritable(name)) is not None:
            raise CalibrationError(f"the class name {name!r} {why}, in texts of several labels; give it another name")


def refuse(count: int, example: str) -> None:
    """Raise OverlapError: rows to screen have fitted the screener."""
    raise OverlapError(
        f"{count} of these rows, e.g. {example!r}, fitted this screener; their p_wrong would be too low, screen others"
    )


def hashed(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return 64-bit hashes, sorted: enough to recognise an id, not enough to read it."""
    return np.unique(_hashes(one for one in ids if one))


def among(ids: Iterable[str], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return, for each id in order, whether its hash is one of those that `hashed` returned.

    A search in what is sorted: what a batch costs hardly grows with the images that fitted a screener.

    >>> among(["b", "d"], hashed(["c", "a", "b"])).tolist(), among(["b"], hashed([])).tolist()
    ([True, False], [False])
    """
    asked = _hashes(ids)
    at = np.searchsorted(known, asked)
    found = np.zeros(len(asked), dtype=bool)
    inside = at < len(known)
    found[inside] = known[at[inside]] == asked[inside]
    return found


def _hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    digests = [hashlib.blake2b(i.encode("utf-8", "surrogatepass"), digest_size=8).digest() for i in ids]
    return np.asarray([int.from_bytes(one, "little") for one in digests], dtype=np.uint64)


def known_good(reference: ModelOutputs) -> tuple[ModelOutputs, tuple[str, ...]]:
    """Leave out reference rows that the classifier gets wrong, where labels tell."""
    if not len(reference):
        raise CalibrationError("reference has no rows; give images that the classifier is known to be good at")
    if reference.labels is None:
        return reference, ()
    right = ~reference.wrong
    if not right.any():
        raise CalibrationError("the classifier gets every reference row wrong; are the class names in the right order?")
    if right.all():
        return reference, ()
    out = int((~right).sum())
    were, them = ("was", "it") if out == 1 else ("were", "them")
    note = f"{out} of {len(right)} reference rows {were} left out: the classifier gets {them} wrong"
    few = "; are the class names in the order of the model's outputs?" if right.mean() < _HALF else ""
    return right_rows(reference), (note + few,)


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
    off: dict[str, list[str]] = {}
    for estimator in estimators:
        rows = good if estimator.learns_from == "reference" else calibration
        missing = [c for c in estimator.needs if not calibration.has(c)]
        missing += [c for c in estimator.fit_needs if not rows.has(c) and c not in missing]
        missing += [c for c in estimator.reference_needs if not reference.has(c) and c not in missing]
        if set(missing) & _ON_REQUEST or _said_better(estimator, estimators, calibration):
            continue
        if missing:
            named = " and no ".join(_CALLED.get(column, column) for column in missing)
            off.setdefault(f"there is no {named}", []).append(estimator.name)
        elif calibration.task not in estimator.tasks:
            off.setdefault(f"there is no {calibration.task} form", []).append(estimator.name)
        elif estimator.learns_from == "calibration" and (why := _too_few(estimator, calibration)):
            off.setdefault(why, []).append(estimator.name)
        else:
            fitted.append(copy(estimator).fit(rows, reference))
            notes += [f"{estimator.name}: {note}"] if (note := fitted[-1].note()) else []
    notes = [*(_off(names, why) for why, names in off.items()), *notes]
    if not fitted:
        why = "; ".join(notes) or "none was given"
        raise CalibrationError(f"no estimator can be used with these outputs: {why}")
    return tuple(fitted), (*notes, *settle(fitted, calibration))


def _said_better(estimator: Estimator, all_of_them: Sequence[Estimator], calibration: ModelOutputs) -> bool:
    there = [column for column in estimator.unless if calibration.has(column)]
    return any(column in other.needs for column in there for other in all_of_them if other is not estimator)


def _off(names: Sequence[str], why: str) -> str:
    """Say which estimators are off for one reason, in one line however many they are."""
    if len(names) == 1:
        return f"{names[0]} is off: {why}"
    return f"{', '.join(names[:-1])} and {names[-1]} are off: {why}"


def _too_few(estimator: Estimator, calibration: ModelOutputs) -> str:
    """Say what is missing where an estimator could not learn without one fold, which has its share of the errors."""
    errors = int(calibration.wrong.sum())
    for count, what in ((errors, "errors"), (len(calibration) - errors, "correct images")):
        if count - math.ceil(count / FOLDS) < estimator.fewest:
            return f"calibration has {count} {what}, and it learns from {estimator.fewest} at least beside each fold"
    return ""
