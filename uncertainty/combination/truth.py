"""Labels of reference and calibration as truth: what they mean, and which images have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.batches import Collected
from uncertainty.combination import class_order
from uncertainty.combination.same_images import each_once
from uncertainty.errors import CalibrationError
from uncertainty.images.label_text import JOINT, NO_LABEL
from uncertainty.images.sources import ImageSet
from uncertainty.labels.class_folders import class_folders
from uncertainty.labels.label_sets import ResolvedSets, of_columns, one_sided, understand
from uncertainty.labels.meaning import Label, Resolved
from uncertainty.outputs import Task

_EXAMPLES = 5


@dataclass(frozen=True)
class Named:
    """A model that was run elsewhere: the names of its classes, and whether several may be true."""

    classes: tuple[str, ...]
    task: Task


Model = Classifier | Named


def with_truth(classifier: Model, calibration: Collected) -> tuple[Collected, list[str]]:
    """Return the calibration images that have a truth, each picture once, and what there is to say of the others.

    Raises CalibrationError where not one has.
    """
    found = understood(classifier, calibration.labels)
    usable = np.flatnonzero(found.usable)
    notes = [*found.notes, *_without(calibration, classifier.task)]
    calibration, truth = calibration.take(usable), found.positions[usable]
    kept, told = each_once(calibration, truth)
    calibration, truth = calibration.take(kept), truth[kept]
    outputs = replace(calibration.outputs, labels=truth)
    notes = [*class_order.notes(outputs, classifier.classes), *notes, *told, *_classes(classifier, truth)]
    return replace(calibration, outputs=outputs), notes


def _without(calibration: Collected, task: Task) -> list[str]:
    """Say how many images have no label; where several may be true also how to say that there is none."""
    missing = [row for row, label in enumerate(calibration.labels) if label is None]
    if not missing:
        return []
    verb, left = ("image has", "was") if len(missing) == 1 else ("images have", "were")
    name = str(calibration.outputs.ids[missing[0]])
    how = f"; where one truly has none, write {NO_LABEL!r} or ';'" if task == "multilabel" else ""
    return [f"{len(missing)} calibration {verb} no label and {left} left out, e.g. {name!r}{how}"]


def _classes(classifier: Model, truth: NDArray[np.int64]) -> list[str]:
    """Say which classes calibration tells nothing of."""
    if classifier.task == "multilabel":
        return one_sided(truth, classifier.classes, "calibration")
    unseen = sorted(set(range(len(classifier.classes))) - set(truth.tolist()))
    if not unseen:
        return []
    example = classifier.classes[unseen[0]]
    return [f"{len(unseen)} of {len(classifier.classes)} classes, e.g. {example!r}, have no calibration image"]


def understood(classifier: Model, labels: Sequence[Label]) -> Resolved | ResolvedSets:
    """Return what calibration labels mean; CalibrationError where there is no truth among them.

    Nothing of an image is needed for it, so that a fit can ask before the network runs.
    """
    found = understand(labels, classifier.classes, classifier.task, "calibration")
    if not found.usable.any():
        raise CalibrationError(_without_labels(classifier, labels))
    return found


def _without_labels(classifier: Model, labels: Sequence[Label]) -> str:
    if all(label is None for label in labels):
        n = len(labels)
        advice = "use one folder for each class, or a manifest with a label column"
        return f"{n} of {n} calibration images have no label; {advice}"
    label = next(label for label in labels if label is not None)
    joint = classifier.task == "multiclass" and any(JOINT in str(label) for label in labels)
    several = "; where images have several labels each, say task=multilabel in the model spec" if joint else ""
    return (
        f"not one calibration label, e.g. {label!r}, is a class of the model, e.g. {classifier.classes[0]!r}; say with "
        f"--classes what the model's outputs are called, in their order, or label by those names{several}"
    )


def labelled_if_known(reference: Any, classifier: Model) -> tuple[Any, list[str]]:
    """Give reference images the class folders that they lie in as labels, and say where they have none."""
    if isinstance(reference, ImageSet) and reference.asked is not None:
        return replace(reference, labels=of_columns(reference.labels or (), reference.asked, classifier.classes)[0]), []
    if not isinstance(reference, ImageSet) or reference.labels is not None or reference.folder_labels is None:
        return reference, []
    labels = class_folders(reference.names, classifier.classes)
    unknown = [row for row, label in enumerate(labels) if label is None]
    if not unknown:
        return replace(reference, labels=labels), []
    example = str(reference.names[unknown[0]])
    if len(unknown) == len(labels):
        folders = ", ".join(sorted({str(one) for one in reference.folder_labels if one})[:_EXAMPLES])
        why = f"the reference has no labels that the model knows (folders {folders})"
        return reference, [f"{why}: wrong images could not be left out"]
    one = "image lies" if len(unknown) == 1 else "images lie"
    why = f"{len(unknown)} reference {one} in no folder that is called like one class, e.g. {example!r}"
    return replace(reference, labels=labels), [f"{why}: they stay, whether right or wrong"]


def with_reference_labels(classifier: Model, reference: Collected) -> tuple[Collected, list[str]]:
    """Return reference rows with labels where any are known; a row without a truth has what the classifier says of it.

    So it stays among the known-good ones, as it would without labels.
    """
    if all(label is None for label in reference.labels):
        return replace(reference, outputs=replace(reference.outputs, labels=None)), []
    found = understand(reference.labels, classifier.classes, classifier.task, "reference")
    notes = list(found.notes)
    if not found.usable.any():
        notes.append("the reference has no labels that the model knows: wrong images could not be left out")
        return replace(reference, outputs=replace(reference.outputs, labels=None)), notes
    labels = np.array(found.positions)
    labels[~found.usable] = reference.outputs.predictions[~found.usable]
    return replace(reference, outputs=replace(reference.outputs, labels=labels)), notes
