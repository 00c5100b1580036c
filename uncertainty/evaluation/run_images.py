"""Images run through a classifier, with their labels as truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from uncertainty.classifiers.base import Classifier, Images, Look, image_items
from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.labels.label_sets import understand
from uncertainty.outputs import ModelOutputs

logger = logging.getLogger("uncertainty")


def labelled_outputs(classifier: Classifier, images: Images, labels: Any, options: Mapping[str, Any]) -> ModelOutputs:
    """Return outputs of the images that were read and have a truth; what was left out is logged.

    Raises InputError where no image has a label that says anything.
    """
    found = classifier.collect(image_items(images, labels), Look(**{"passes": 0, **options}))
    truth = understand(found.labels, classifier.classes, classifier.task)
    rows = np.flatnonzero(truth.usable)
    if not len(rows):
        why = "; ".join(truth.notes) or "give labels beside the images, or a Dataset of (image, label)"
        raise InputError(f"none of {len(truth.positions)} images has a label that can be compared with; {why}")
    unlabelled = sum(label is None for label in found.labels)
    counts = (len(found.failures), "that can't be read"), (unlabelled, "without a label")
    left_out = [number_of(n, f"image {what}", f"images {what}") for n, what in counts if n]
    for note in (*(f"left out {what}" for what in left_out), *truth.notes):
        logger.warning("%s", note)
    return replace(found.outputs.take(rows), labels=truth.positions[rows])
