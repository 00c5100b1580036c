"""Labels of reference and calibration as truth: what they mean, and whether the class names are in the right order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.batches import Collected
from uncertainty.combination.same_images import each_once
from uncertainty.errors import CalibrationError
from uncertainty.images.sources import ImageSet
from uncertainty.labels.class_folders import class_folders
from uncertainty.labels.meaning import resolve
from uncertainty.outputs import ModelOutputs

_FEWEST = 20
_MUCH_BETTER = 0.2
_EXAMPLES = 5


def with_truth(classifier: Classifier, calibration: Collected) -> tuple[Collected, list[str]]:
    """Return the calibration images that have a truth, each picture once, and what there is to say of the others.

    Raises CalibrationError where not one has.
    """
    if classifier.task == "multilabel":
        raise CalibrationError(
            "the labels of a multilabel model can't be read from images; run the classifier, add labels of shape "
            "(n, classes) to its outputs, and use Screener.fit_outputs"
        )
    found = resolve(calibration.labels, classifier.classes, "calibration")
    usable = np.flatnonzero(found.usable)
    if not len(usable):
        raise CalibrationError(_without_labels(classifier, calibration))
    notes = [*found.notes]
    if missing := [row for row, label in enumerate(calibration.labels) if label is None]:
        verb, left = ("image has", "was") if len(missing) == 1 else ("images have", "were")
        name = str(calibration.outputs.ids[missing[0]])
        notes.append(f"{len(missing)} calibration {verb} no label and {left} left out, e.g. {name!r}")
    calibration, truth = calibration.take(usable), found.positions[usable]
    kept, told = each_once(calibration, truth)
    calibration, truth = calibration.take(kept), truth[kept]
    outputs = replace(calibration.outputs, labels=truth)
    notes = [*_order_of_classes(outputs, classifier), *notes, *told]
    if unseen := sorted(set(range(len(classifier.classes))) - set(truth.tolist())):
        example = classifier.classes[unseen[0]]
        notes.append(f"{len(unseen)} of {len(classifier.classes)} classes, e.g. {example!r}, have no calibration image")
    return replace(calibration, outputs=outputs), notes


def _without_labels(classifier: Classifier, calibration: Collected) -> str:
    if all(label is None for label in calibration.labels):
        n = len(calibration.labels)
        advice = "use one folder for each class, or a manifest with a label column"
        return f"{n} of {n} calibration images have no label; {advice}"
    label = next(label for label in calibration.labels if label is not None)
    return (
        f"not one calibration label, e.g. {label!r}, is a class of the model, e.g. {classifier.classes[0]!r}; give the "
        "class names in the order of the model's outputs"
    )


def _order_of_classes(outputs: ModelOutputs, classifier: Classifier) -> list[str]:
    """Say where other names for the outputs would make the classifier much better, or it is worse than guessing."""
    from scipy.optimize import linear_sum_assignment

    known = outputs.labels >= 0 if outputs.labels is not None else np.zeros(0, bool)
    truth, said = np.asarray(outputs.labels)[known], outputs.predictions[known]
    n, c = len(truth), len(classifier.classes)
    if n < _FEWEST:
        return []
    counts = np.zeros((c, c))
    np.add.at(counts, (said, truth), 1)
    outputs_, names = linear_sum_assignment(-counts)
    now, best, guessing = counts.trace() / n, counts[outputs_, names].sum() / n, counts.sum(axis=0).max() / n
    if best - now < _MUCH_BETTER or best < guessing:
        return []
    than = f", less than by always saying one class ({guessing:.0%})" if now < guessing else ""
    moved = [
        f"{classifier.classes[t]} in place of {classifier.classes[k]}"
        for k, t in zip(outputs_.tolist(), names.tolist(), strict=True)
        if k != t and counts[k, t]
    ]
    more = f" and {len(moved) - _EXAMPLES} more" if len(moved) > _EXAMPLES else ""
    return [
        f"right on {now:.0%} of calibration{than}; with other names for the outputs "
        f"({', '.join(moved[:_EXAMPLES])}{more}) it would be {best:.0%}: "
        f"are the class names in the order of the model's outputs?"
    ]


def labelled_if_known(reference: Any, classifier: Classifier) -> tuple[Any, list[str]]:
    """Give reference images the class folders that they lie in as labels, and say where they have none."""
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


def with_reference_labels(classifier: Classifier, reference: Collected) -> tuple[Collected, list[str]]:
    """Return reference rows with labels where any are known; a row without a truth has what the classifier says of it.

    So it stays among the known-good ones, as it would without labels.
    """
    if classifier.task == "multilabel" or all(label is None for label in reference.labels):
        return replace(reference, outputs=replace(reference.outputs, labels=None)), []
    found = resolve(reference.labels, classifier.classes, "reference")
    notes = list(found.notes)
    if not found.usable.any():
        notes.append("the reference has no labels that the model knows: wrong images could not be left out")
        return replace(reference, outputs=replace(reference.outputs, labels=None)), notes
    labels = np.where(found.usable, found.positions, reference.outputs.predictions)
    return replace(reference, outputs=replace(reference.outputs, labels=labels)), notes
