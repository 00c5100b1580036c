"""Pictures composed of real images, several true labels each: outputs for every set of a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from experiments.multilabel.networks import (
    DIGITS_EPOCHS,
    TILES_EPOCHS,
    TILES_SEED,
    as_inputs,
    kept_network,
    tiles_network,
    trained,
)
from experiments.multilabel.pictures import left_over, pictures
from experiments.shared import image_sets, resnet20, splits
from experiments.shared.image_sets import Images
from experiments.shared.splits import Copies, Split
from experiments.shared.thorough_splits import kept, kept_embedding
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.embedder import Embedder
from uncertainty.demo.canvas_network import CanvasNetwork
from uncertainty.demo.canvases import Canvas

CAMERA = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
TILES, DIGITS = Canvas(cell=32, grey=124), Canvas(cell=10, grey=0)
TRAINING, POOL, UNKNOWN, REFERENCE = 4000, 1200, 300, 2000
DIGITS_TRAINING, DIGITS_LATER, DIGITS_UNKNOWN = 3000, 600, 150
FURTHER, DIGITS_FURTHER = 2400, 4400
"""Pictures that are screened in distribution beside the others, of which a calibration error can be told."""
DIGITS_PARTS = (797, 500, 500)
VIEWS = ("flip",)
Run = Callable[[Images], ModelOutputs]


def tiles_maker(folder: Path, cache: Path) -> Callable[[int], Split]:
    """CIFAR-10 photographs, one to four in a picture: calibrate on one half of 1,200 pictures and test on the other.

    Further pictures and those with unknown content are of the photographs that none of the 1,200 holds.
    """
    classifier, training = tiles_classifier(folder, cache)
    run = partial(outputs, cache, classifier, Classifier.load("efficientnet-lite0?size=128").as_embedder(), VIEWS)
    dev = image_sets.cifar10(folder, "dev")
    pool = pictures(dev, POOL, TILES, 1, "tiles-pool")
    strangers = splits.unknown_to_cifar10(dev).pixels
    rest = dev.take(left_over(dev, POOL, 1))
    odd = pictures(rest, UNKNOWN, TILES, 2, "tiles-unknown", strangers)
    further = run(pictures(rest, FURTHER, TILES, 3, "tiles-further"))
    copies, reference = _copies(run, pool, odd), run(training.take(np.arange(REFERENCE)))

    def make(seed: int) -> Split:
        rows = np.random.default_rng(seed).permutation(POOL)
        return longer(copies.split(reference, rows[: POOL // 2], rows[POOL // 2 :], seed), further)

    return make


def longer(split: Split, further: ModelOutputs) -> Split:
    """Add rows to what arrives undamaged."""
    return replace(split, test_clean=ModelOutputs.concatenate([split.test_clean, further]))


def tiles_classifier(folder: Path, cache: Path) -> tuple[Classifier, Images]:
    """Train the network of tiled photographs, or read its weights; with the pictures that it was trained on."""
    train = image_sets.cifar10(folder, "train")
    training = pictures(train, TRAINING, TILES, 0, "tiles-train")
    make = partial(tiles_network, len(train.classes), folder / "resnet20d.safetensors")

    def train_it() -> nn.Module:
        inputs = as_inputs(training, *CAMERA).to(memory_format=torch.channels_last)
        return trained(make, inputs, training.labels, TILES_EPOCHS, TILES_SEED)

    module = kept_network(cache / "multilabel" / f"tiles-{TILES_SEED}.safetensors", make, train_it)
    preprocess = Preprocess(size=2 * resnet20.INPUT_SIZE, mean=CAMERA[0], std=CAMERA[1])
    return Classifier.from_module(module, train.classes, preprocess, task="multilabel"), training


def digits_maker(cache: Path, embedded: int) -> Callable[[int], Split]:
    """Handwritten digits, one to four on a canvas; two of the ten digits are left out of training, and are unknown.

    The first `embedded` splits have a second opinion.
    """
    embedder = Classifier.load("efficientnet-lite0?size=64").as_embedder()
    return lambda seed: _digits_split(cache, embedder if seed < embedded else None, seed)


def _digits_split(cache: Path, embedder: Embedder | None, seed: int) -> Split:
    known, strangers = _eight_digits(seed)
    train, calibration, test = (known.take(rows) for rows in image_sets.split(known, _sizes(known), seed))
    training = pictures(train, DIGITS_TRAINING, DIGITS, seed, "digits-train")
    make = partial(CanvasNetwork, len(known.classes))
    train_it = partial(trained, make, as_inputs(training, *PLAIN), training.labels, DIGITS_EPOCHS, seed)
    module = kept_network(cache / "multilabel" / f"digits-{seed}.safetensors", make, train_it)
    preprocess = Preprocess(size=2 * DIGITS.cell, mean=PLAIN[0], std=PLAIN[1])
    classifier = Classifier.from_module(module, known.classes, preprocess, task="multilabel")
    run = partial(outputs, cache, classifier, embedder, ())
    first, second = (
        pictures(part, DIGITS_LATER, DIGITS, seed, f"digits-{name}")
        for part, name in ((calibration, "calibration"), (test, "test"))
    )
    later = replace(
        first,
        pixels=first.pixels + second.pixels,
        labels=np.concatenate([first.labels, second.labels]),
        ids=np.concatenate([first.ids, second.ids]),
    )
    odd = pictures(test, DIGITS_UNKNOWN, DIGITS, seed + 1, "digits-unknown", strangers.pixels)
    rows = np.arange(2 * DIGITS_LATER)
    split = _copies(run, later, odd).split(run(training), rows[:DIGITS_LATER], rows[DIGITS_LATER:], seed)
    return longer(split, run(pictures(test, DIGITS_FURTHER, DIGITS, seed + 2, "digits-further")))


def _eight_digits(seed: int) -> tuple[Images, Images]:
    """Return the images of eight digits, under their places among them, and those of the other two."""
    images = image_sets.digits()
    eight = np.delete(np.arange(10), [seed % 10, (seed + 5) % 10])
    known = np.isin(images.labels, eight)
    own = images.take(np.flatnonzero(known))
    classes = tuple(images.classes[k] for k in eight)
    return replace(own, labels=np.searchsorted(eight, own.labels), classes=classes), images.take(np.flatnonzero(~known))


def _sizes(known: Images) -> tuple[int, ...]:
    return tuple(round(size * len(known) / sum(DIGITS_PARTS)) for size in DIGITS_PARTS)


def _copies(run: Run, images: Images, unknown: Images) -> Copies:
    first, second = (run(image_sets.damaged(images, half, seed=0)) for half in splits.HALVES)
    foreign = replace(image_sets.foreign(images, seed=0), labels=np.zeros_like(images.labels))
    return Copies(run(images), (first, second), run(foreign), run(unknown))


def outputs(
    cache: Path, classifier: Classifier, embedder: Embedder | None, views: tuple[str, ...], images: Images
) -> ModelOutputs:
    """Run a classifier, a second opinion if any and views over pictures, or read what was kept."""
    seen = splits.cached_run(cache / "multilabel" / "outputs", classifier, images)
    if embedder is not None:
        seen = replace(seen, embedding=kept_embedding(cache, embedder, images))
    if not views:
        return seen

    def compute(some: Images) -> np.ndarray:
        return np.asarray(classifier.run(some.pixels, passes=0, views=views, batch_size=64).tta_probs)

    what = f"views {views} {classifier.sha256}"
    return replace(seen, tta_probs=kept(cache / "multilabel", what, images, compute))
