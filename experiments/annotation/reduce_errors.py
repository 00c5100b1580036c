"""What lowers false positives and negatives: python -m experiments.annotation.reduce_errors --data FOLDER.

The loss, augmentation, and labels for the images that p_wrong names, each against doing without; frozen features.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.annotation.active_learning_loop import reduce
from experiments.annotation.reduce_errors_page import page
from experiments.shared import image_sets, results_file, solar_network, splits, thorough_splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import named_as_originals
from experiments.shared.results_file import transposed
from experiments.shared.solar_network import Loss, trained_head
from uncertainty import ModelOutputs, Screener
from uncertainty.classifiers import Classifier
from uncertainty.classifiers.embedder import Embedder
from uncertainty.classifiers.network import Network

SEEDS = 10
EPOCHS = 15
NAME = "reduce_errors"
AUGMENTATIONS = ("rotation", "brightness", "occlusion", "gaussian_noise")
_AUGMENTED_SEED = 7
FOLDER = "learning"
"""Where features of augmented copies are kept, inside the cache."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Frozen features of n images, and of their damaged and augmented copies, where logits would stand.

    `sizes` are those of training, calibration and incoming images, the rest is the test set; `bought` so many of the
    incoming ones get a label.
    """

    clean: ModelOutputs
    halves: tuple[ModelOutputs, ModelOutputs]
    augmented: NDArray[np.float32]
    classes: tuple[str, ...]
    sizes: tuple[int, int, int]
    bought: int


@dataclass(frozen=True)
class Way:
    """One way of training: the loss, whether with augmented copies, and which incoming images are added."""

    loss: str = "cross-entropy"
    augmented: bool = False
    added: str = ""


WAYS = {
    "cross-entropy": Way(),
    "focal": Way("focal"),
    "class weights": Way("class weights"),
    "augmented": Way(augmented=True),
    "focal, augmented": Way("focal", augmented=True),
    "class weights, augmented": Way("class weights", augmented=True),
    "random added": Way(added="random"),
    "problems added": Way(added="problems"),
    "augmented, random added": Way(augmented=True, added="random"),
    "augmented, problems added": Way(augmented=True, added="problems"),
}


def focal_loss(gamma: float = 2) -> Loss:
    """Return the mean of -(1 - p)^gamma log p, with p the probability of the true class (Lin et al. 2017).

    At p = 1/2 the logarithm counts a quarter: 0.25 * 0.6931.

    >>> import torch
    >>> round(focal_loss()(torch.zeros(1, 2), torch.tensor([0])).item(), 4)
    0.1733
    """

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = -nn.functional.cross_entropy(logits, labels, reduction="none")
        return -((1 - log_p.exp()) ** gamma * log_p).mean()

    return loss


def weighted_loss(labels: NDArray[np.int64]) -> Loss:
    """Return cross-entropy in which every class weighs alike: n / (classes * n of the class)."""
    import torch
    from sklearn.utils.class_weight import compute_class_weight

    weights = compute_class_weight("balanced", classes=np.arange(labels.max() + 1), y=labels)
    return nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float32))


def loss_named(name: str, labels: NDArray[np.int64]) -> Loss:
    """Return a loss by the name that the page calls it."""
    if name == "class weights":
        return weighted_loss(labels)
    return focal_loss() if name == "focal" else nn.functional.cross_entropy


def false_by_class(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Return error rate and false positives and negatives of each class, per 1,000 images.

    Of four images one is a 0 that was taken for a 1: a negative that 0 lacks, a positive too many for 1.

    >>> found = false_by_class(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2)
    >>> found["false_positives"], found["false_negatives"]
    ({'0': 0.0, '1': 250.0}, {'0': 250.0, '1': 0.0})
    """
    wrong = labels != predicted
    per_1000 = 1000 / len(labels)
    positives = np.bincount(predicted[wrong], minlength=classes) * per_1000
    negatives = np.bincount(labels[wrong], minlength=classes) * per_1000
    return {
        "error_rate": float(wrong.mean()),
        "false_positives": {str(k): float(v) for k, v in enumerate(positives)},
        "false_negatives": {str(k): float(v) for k, v in enumerate(negatives)},
    }


def measured(bank: Bank, seed: int) -> dict[str, Any]:
    """Train every way on one split and judge it on the test images, undamaged and damaged."""
    train, calibration, incoming, test = image_sets.split(_labels(bank), (*bank.sizes, 0), seed)
    bank = reduced(bank, train)
    later = bank.halves[1 - seed % 2]
    plain = probe(bank, train, Way(), None, seed)
    stream = stream_of(bank.clean.take(incoming), later.take(incoming), seed)
    chosen = {
        "problems": problems(bank, plain, train, calibration, stream, seed),
        "random": np.random.default_rng([seed, 21]).permutation(len(stream))[: bank.bought],
    }
    tests = {"clean": bank.clean.take(test), "damaged": later.take(test)}
    found: dict[str, Any] = {}
    for name, way in WAYS.items():
        head = probe(bank, train, way, stream.take(chosen[way.added]) if way.added else None, seed)
        found[name] = {kind: judged(head, part, len(bank.classes)) for kind, part in tests.items()}
    wrong = predicted(plain, stream) != stream.labels
    return {"ways": found, "errors_bought": {k: float(wrong[rows].sum()) for k, rows in chosen.items()}}


def reduced(bank: Bank, train: image_sets.Rows) -> Bank:
    """Keep the 128 main directions of the training images: a head learns ten times as fast."""
    clean, first, second = (np.asarray(part.logits) for part in (bank.clean, *bank.halves))
    _, all_rows = reduce(clean[train], np.concatenate([clean, first, second, bank.augmented]))
    parts = np.split(all_rows.astype(np.float32), 4)
    clean_outputs, *halves = (
        replace(outputs, logits=part) for outputs, part in zip((bank.clean, *bank.halves), parts[:3], strict=True)
    )
    return replace(bank, clean=clean_outputs, halves=tuple(halves), augmented=parts[3])


def _labels(bank: Bank) -> image_sets.Images:
    return image_sets.Images([], bank.clean.require("labels", "a split"), np.asarray(bank.clean.ids), bank.classes)


def stream_of(clean: ModelOutputs, damaged: ModelOutputs, seed: int) -> ModelOutputs:
    """Return what arrives: half of the images are damaged."""
    rows = np.arange(len(clean))
    rows[np.random.default_rng([seed, 20]).permutation(len(rows))[: len(rows) // 2]] += len(clean)
    return ModelOutputs.concatenate([clean, damaged]).take(rows)


def head_of(bank: Bank, train: image_sets.Rows, way: Way, extra: ModelOutputs | None, seed: int) -> solar_network.Head:
    """Train one head."""
    features, labels = [np.asarray(bank.clean.logits)[train]], [np.asarray(bank.clean.labels)[train]]
    if way.augmented:
        features.append(bank.augmented[train])
        labels.append(labels[0])
    if extra is not None:
        features.append(np.asarray(extra.logits))
        labels.append(np.asarray(extra.labels))
    answers = np.concatenate(labels)
    return trained_head(np.concatenate(features), answers, seed, loss_named(way.loss, answers), EPOCHS)


def probe(bank: Bank, train: image_sets.Rows, way: Way, extra: ModelOutputs | None, seed: int) -> Network:
    """Train one head and make it a network whose features are the input of its last layer."""
    head = head_of(bank, train, way, extra, seed)
    return Network.probe(head, np.zeros(bank.augmented.shape[1], dtype=np.float32))


def problems(
    bank: Bank, head: Network, train: image_sets.Rows, calibration: image_sets.Rows, stream: ModelOutputs, seed: int
) -> NDArray[np.int64]:
    """Return the rows of the stream with the largest p_wrong; the screener is fitted as users do."""

    def see(of: ModelOutputs) -> ModelOutputs:
        return splits.through_head(head, of, classes=len(bank.classes))

    screener = Screener.fit_outputs(
        splits.known_good(see(bank.clean.take(train))),
        see(bank.clean.take(calibration)),
        damaged=named_as_originals(see(bank.halves[seed % 2].take(calibration))),
    )
    return np.argsort(-screener.p_wrong(see(stream)), kind="stable")[: bank.bought]


def predicted(head: Network, part: ModelOutputs) -> NDArray[np.int64]:
    """Return the classes that a head says."""
    answers: NDArray[np.int64] = head(np.array(part.logits)).logits.argmax(axis=1)
    return answers


def judged(head: Network, part: ModelOutputs, classes: int) -> dict[str, Any]:
    """Return the errors of a head on test images."""
    return false_by_class(part.require("labels", "the test"), predicted(head, part), classes)


def solar_bank(chosen: Options) -> Bank:
    """Solar cells as the other experiments see them."""
    cells, backbone = image_sets.solar_cells(), splits.solar_backbone(chosen.cache, chosen.data)
    embedder = thorough_splits.solar_classifier().as_embedder()
    augmented = _augmented(chosen, embedder, cells)
    return Bank(backbone.clean, backbone.halves, augmented, cells.classes, (1000, 400, 600), bought=150)


def cifar10_bank(chosen: Options) -> Bank:
    """Photographs of CIFAR-10 that no network was trained on, seen by EfficientNet-Lite0 at 128 pixels."""
    images, copies = image_sets.cifar10(chosen.folder, "dev"), splits.cifar10_copies(chosen.folder, chosen.cache)
    embedder = Classifier.load("efficientnet-lite0?size=128").as_embedder()

    def add(outputs: ModelOutputs, of: image_sets.Images) -> ModelOutputs:
        seen = thorough_splits.kept_embedding(chosen.cache, embedder, of)
        return replace(outputs, logits=seen, features=None, mc_probs=None)

    halves = thorough_splits.widened_halves(copies, images, add)
    augmented = _augmented(chosen, embedder, images)
    return Bank(add(copies.clean, images), halves, augmented, images.classes, (1500, 500, 1000), bought=250)


def _augmented(chosen: Options, embedder: Embedder, images: image_sets.Images) -> NDArray[np.float32]:
    copies = image_sets.damaged(images, AUGMENTATIONS, seed=_AUGMENTED_SEED)
    return thorough_splits.kept(
        chosen.cache / FOLDER, f"augmented {embedder.sha256}", copies, lambda i: thorough_splits.embedding(embedder, i)
    )


BANKS: dict[str, Callable[[Options], Bank]] = {"solar_cells": solar_bank, "cifar10": cifar10_bank}


def main(chosen: Options) -> None:
    """Measure, and write after every seed, so that what is finished is kept."""
    results: dict[str, Any] = {"sets": {}}
    for name, make in BANKS.items():
        bank, found = make(chosen), []
        for seed in range(min(chosen.splits, SEEDS)):
            say(f"{NAME}: {name}, seed {seed}")
            found.append(measured(bank, seed))
            about = {"classes": list(bank.classes), "sizes": list(bank.sizes), "bought": bank.bought}
            results["sets"][name] = {**about, **transposed(found)}
            results_file.write(chosen.out / f"{NAME}.json", results)
    sys.stdout.write(results_file.republish(chosen.out, NAME, page))


if __name__ == "__main__":
    main(options(__doc__))
