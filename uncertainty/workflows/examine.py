"""From a model spec, and an image, to what was found out about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uncertainty.classifiers import Classifier
from uncertainty.classifiers.findings import Line, costs, findings
from uncertainty.classifiers.shown_input import shown_input
from uncertainty.errors import ImageError, InputError
from uncertainty.files import replacing
from uncertainty.images.decoding import DecodedImage, decode, read
from uncertainty.images.sources import ImageItem, find_images
from uncertainty.workflows.fit import ModelSource

_MOST = 5  # answers that are shown


def examine(model: ModelSource, image: str | None = None, show: Path | None = None) -> Iterator[Line]:
    """Yield what is known of a model, what it costs, and with an image its answers and what the network is given.

    `show` is where a picture of the input is written, see `shown_input`. Raises what loading a model does, and
    InputError where there is no image to show, it can't be read, or the picture can't be written.
    """
    if show is not None and image is None:
        raise InputError(f"--show {show} draws what the network is given of an image; name one")
    item = None if image is None else next(iter(find_images(image)))
    classifier = model.load()
    pictured = None if item is None else _image(classifier, item)
    yield from findings(classifier)
    yield from costs(classifier)
    if pictured is not None:
        yield from _answers(classifier, pictured, show)


def _image(classifier: Classifier, item: ImageItem) -> DecodedImage:
    """Decode an image as a screening does."""
    preprocess = classifier.preprocess
    try:
        return decode(read(item.data), least=preprocess.least, reading=preprocess.reading)
    except ImageError as error:
        raise InputError(f"{item.name} can't be read: {error}") from error


def _answers(classifier: Classifier, image: DecodedImage, show: Path | None) -> Iterator[Line]:
    inputs = classifier.preprocess.of(image)
    probs = classifier.outputs_from_inputs(["image"], inputs[None], passes=0).probs[0]
    best = np.argsort(-probs, kind="stable")[:_MOST]
    yield "answer", ", ".join(f"{classifier.classes[k]} {probs[k]:.3f}" for k in best)
    low, mean, high = inputs.min(), inputs.mean(), inputs.max()
    yield "given to the network", f"numbers from {low:.3g} to {high:.3g}, {mean:.3g} on average"
    if show is not None:
        with replacing(show) as begun:
            shown_input(image.pixels, inputs, classifier.preprocess).save(begun, format="PNG")
        yield "picture", f"written to {show}"
