"""What the classifiers say about every set of a split: reference, calibration, and three streams of incoming images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from experiments.shared import image_sets, resnet20, solar_network
from experiments.shared.cache import cached
from experiments.shared.image_sets import Images, Rows
from experiments.shared.last_layer import LastLayer
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.network import Network
from uncertainty.demo import network as digits_network
from uncertainty.outputs import Floats, probs_from_logits

# Noise, blur, light and geometry in both: calibration sees one half, the test the other, in turn.
HALVES = (
    ("gaussian_noise", "motion_blur", "jpeg", "darkness", "colour", "rotation", "crop"),
    ("impulse_noise", "gaussian_blur", "resolution", "brightness", "contrast", "translation", "occlusion"),
)
REGIMES = {
    "clean": "in distribution",
    "damaged": "half damaged by unseen kinds",
    "unknown": "one in five of no known class",
}
"""The streams of a split."""
ALL = tuple(REGIMES)
Add = Callable[[Classifier, ModelOutputs, Images], ModelOutputs]
UNKNOWN_POOL = 1200
UNKNOWN_POOL_SOLAR = 450


@dataclass(frozen=True, eq=False)
class Split:
    """Outputs of one split; the damaged and the foreign rows are made from the calibration rows, in the same order."""

    reference: ModelOutputs
    calibration: ModelOutputs
    calibration_damaged: ModelOutputs
    calibration_foreign: ModelOutputs
    test_clean: ModelOutputs
    test_damaged: ModelOutputs
    test_unknown: ModelOutputs
    every_test_damaged: ModelOutputs
    """All test rows damaged, of which the damaged stream has half."""
    last_layer: LastLayer | None = None

    @property
    def streams(self) -> dict[str, ModelOutputs]:
        """What arrives, by regime; `unknown` is left out where no image is of no known class, and what has no image."""
        streams = {"clean": self.test_clean, "damaged": self.test_damaged, "unknown": self.test_unknown}
        if not (self.test_unknown.labels == image_sets.UNKNOWN).any():
            del streams["unknown"]
        return {regime: stream for regime, stream in streams.items() if len(stream)}


@dataclass(frozen=True, eq=False)
class Copies:
    """Outputs for n rows undamaged, damaged by either half and made foreign, and for real images of no known class."""

    clean: ModelOutputs
    halves: tuple[ModelOutputs, ModelOutputs]
    foreign: ModelOutputs
    unknown: ModelOutputs

    def split(self, reference: ModelOutputs, calibration: Rows, test: Rows, seed: int) -> Split:
        """Choose the rows of calibration and test; half of the damaged stream is damaged, a fifth is unknown."""
        seen, unseen = self.halves[seed % 2], self.halves[1 - seed % 2]
        clean, damaged = self.clean.take(test), unseen.take(test)
        return Split(
            reference=reference,
            calibration=self.clean.take(calibration),
            calibration_damaged=seen.take(calibration),
            calibration_foreign=self.foreign.take(calibration),
            test_clean=clean,
            test_damaged=_half_replaced(clean, damaged, seed),
            test_unknown=ModelOutputs.concatenate([clean, _sample(self.unknown, len(test) // 4, seed)]),
            every_test_damaged=damaged,
        )


Make = Callable[[int], Split]
"""What makes the split of a seed."""


def makers(folder: Path, cache: Path) -> dict[str, tuple[Make, Make]]:
    """Return, by set, what makes a split for clean and damaged streams, and for the one with unknown images."""
    image_sets.require_packages()
    solar, cifar = partial(solar_split, solar_backbone(cache, folder)), cifar10_maker(folder, cache)
    return {"Digits": (digits_split, digits_unknown_split), "Solar cells": (solar, solar), "CIFAR-10": (cifar, cifar)}


def cifar10_maker(folder: Path, cache: Path) -> Make:
    """Return what makes a split of CIFAR-10, whose outputs are computed now or read from the cache."""
    return partial(cifar10_split, cifar10_copies(folder, cache), cifar10_reference(folder, cache))


def digits_split(seed: int, add: Add | None = None) -> Split:
    """Train on 350 digits; 650 calibrate and 797 test. The unknown stream has a classifier of its own, see below.

    `add` gives the outputs more columns.
    """
    images = image_sets.digits()
    train, calibration, test = image_sets.split(images, image_sets.DIGITS_SIZES, seed)
    return _digits_split(images, images.take(test[:0]), (train, calibration, test), seed, add)


def digits_unknown_split(seed: int, add: Add | None = None) -> Split:
    """Train on eight of the ten digits; the other two, one in five images of the test part, are of no known class."""
    images = image_sets.digits()
    left_out = [seed % 10, (seed + 5) % 10]
    eight = np.delete(np.arange(10), left_out)
    known = np.isin(images.labels, eight)
    parts = image_sets.split(images, image_sets.DIGITS_SIZES, seed)
    labels = np.where(known, np.searchsorted(eight, images.labels), image_sets.UNKNOWN)
    relabelled = replace(images, labels=labels, classes=tuple(images.classes[k] for k in eight))
    strangers = relabelled.take(parts[2][~known[parts[2]]])
    train, calibration, test = (rows[known[rows]] for rows in parts)
    return _digits_split(relabelled, strangers, (train, calibration, test), seed, add)


def _digits_split(
    images: Images, strangers: Images, rows: tuple[Rows, Rows, Rows], seed: int, add: Add | None = None
) -> Split:
    train, calibration, test = rows
    module = digits_network.train(np.stack([images.pixels[row] for row in train]), images.labels[train], seed)
    classifier = Classifier.from_module(module, images.classes, digits_network.PREPROCESS)

    def see(of: Images) -> ModelOutputs:
        outputs = run(classifier, of)
        return outputs if add is None else add(classifier, outputs, of)

    later = images.take(np.concatenate([calibration, test]))
    first, second = (see(image_sets.damaged(later, half, seed)) for half in HALVES)
    clean = see(later)
    unknown = see(strangers) if len(strangers) else clean.take([])
    foreign = see(image_sets.foreign(later, seed))
    copies = Copies(clean, (first, second), foreign, unknown)
    cut = np.arange(len(later))
    reference = known_good(see(images.take(train)))
    split = copies.split(reference, cut[: len(calibration)], cut[len(calibration) :], seed)
    return replace(split, last_layer=LastLayer.of(classifier.network))


def cifar10_classifier(folder: Path) -> Classifier:
    """Load the ResNet-20 whose weights lie beside the images."""
    from safetensors.torch import load_file

    module = resnet20.network()
    module.load_state_dict(load_file(folder / "resnet20d.safetensors"))
    preprocess = Preprocess(size=resnet20.INPUT_SIZE, mean=resnet20.MEAN, std=resnet20.STD)
    return Classifier.from_module(module, image_sets.cifar10(folder, "dev").classes, preprocess)


def cifar10_copies(folder: Path, cache: Path) -> Copies:
    """Run the 5,000 labelled images, their damaged and foreign copies and the unknown ones, or read the cache."""
    dev = image_sets.cifar10(folder, "dev")
    return _copies(cifar10_classifier(folder), dev, unknown_to_cifar10(dev), cache / "cifar10")


def cifar10_reference(folder: Path, cache: Path) -> ModelOutputs:
    """Run the 20,000 training images, without dropout, and keep those that the network gets right."""
    train = image_sets.cifar10(folder, "train")
    return known_good(cached_run(cache / "cifar10" / "train", cifar10_classifier(folder), train, passes=0))


def cifar10_split(copies: Copies, reference: ModelOutputs, seed: int) -> Split:
    """Calibrate on one half of the labelled images and test on the other."""
    rows = np.random.default_rng(seed).permutation(len(copies.clean))
    half = len(rows) // 2
    return copies.split(reference, rows[:half], rows[half:], seed)


def unknown_to_cifar10(known: Images) -> Images:
    """Solar cells, digits and crops of photographs, all 32x32."""
    size = resnet20.INPUT_SIZE
    sources = [
        image_sets.drawn(image_sets.solar_cells(), size, 0),
        image_sets.drawn(image_sets.digits(), size, 0),
        image_sets.photograph_crops(size, 0, smallest=size),
    ]
    return image_sets.of_no_known_class(sources, UNKNOWN_POOL, known)


def unknown_to_solar_cells(known: Images, cifar10: Path) -> Images:
    """Grey 300x300 pictures: digits, crops of photographs and CIFAR-10."""
    sources = [
        image_sets.drawn(image_sets.digits(), 300, 1, grey=True),
        image_sets.photograph_crops(300, 1, smallest=100, grey=True),
        image_sets.drawn(image_sets.cifar10(cifar10, "dev"), 300, 1, grey=True),
    ]
    return image_sets.of_no_known_class(sources, UNKNOWN_POOL_SOLAR, known)


def solar_backbone(cache: Path, cifar10: Path | None) -> Copies:
    """Run the frozen backbone over all photographs and their copies; its 1,280 features stand where logits would.

    Without the folder of CIFAR-10 there are no images of no known class.
    """
    preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    classifier = Classifier.from_module(solar_network.backbone(), preprocess=preprocess)
    cells = image_sets.solar_cells()
    unknown = cells.take(np.arange(0)) if cifar10 is None else unknown_to_solar_cells(cells, cifar10)
    return _copies(classifier, cells, unknown, cache / "solar_cells")


def _copies(classifier: Classifier, images: Images, unknown: Images, cache: Path) -> Copies:
    clean = cached_run(cache / "clean", classifier, images)
    halves = [
        cached_run(cache / f"damaged_{i}", classifier, image_sets.damaged(images, HALVES[i], seed=0)) for i in (0, 1)
    ]
    foreign = cached_run(cache / "foreign", classifier, image_sets.foreign(images, seed=0))
    strangers = cached_run(cache / "unknown", classifier, unknown) if len(unknown) else clean.take([])
    return Copies(clean, (halves[0], halves[1]), foreign, strangers)


def solar_split(backbone: Copies, seed: int, views: Mapping[str, Floats] | None = None) -> Split:
    """Train a head on 1,000 cells; 750 calibrate and 874 test.

    `views` are what the backbone gives for augmented views (v, 1280), by the id of the row.
    """
    cells = backbone.clean
    train, calibration, test = image_sets.split(
        Images([], cells.labels, np.asarray(cells.ids), ()), image_sets.SOLAR_SIZES, seed
    )
    module = solar_network.trained_head(cells.logits[train], cells.labels[train], seed)
    head = Network.probe(module, np.zeros(solar_network.FEATURES, dtype=np.float32))

    def see(of: ModelOutputs) -> ModelOutputs:
        return with_views(head, through_head(head, of), views)

    clean = see(cells)
    copies = Copies(
        clean=clean,
        halves=(see(backbone.halves[0]), see(backbone.halves[1])),
        foreign=see(backbone.foreign),
        unknown=see(backbone.unknown) if len(backbone.unknown) else clean.take([]),
    )
    split = copies.split(known_good(clean.take(train)), calibration, test, seed)
    return replace(split, last_layer=LastLayer.of(head))


def through_head(
    head: Network, backbone: ModelOutputs, passes: int = 30, seed: int = 0, classes: int = 4
) -> ModelOutputs:
    """Send backbone features through a head: the outputs that backbone and head together would give."""
    classifier = Classifier(head, tuple(str(k) for k in range(classes)), Preprocess())
    features = np.array(backbone.logits)  # torch wants memory that it could write to
    return classifier.outputs_from_inputs(
        list(backbone.ids), features, passes=passes, seed=seed, quality=backbone.quality, labels=backbone.labels
    )


def with_views(head: Network, outputs: ModelOutputs, views: Mapping[str, Floats] | None) -> ModelOutputs:
    """Add the probabilities that a head gives for views of the same rows."""
    if views is None:
        return outputs
    features = np.stack([views[str(name)] for name in outputs.ids])
    logits = head(features.reshape(-1, features.shape[2])).logits
    return replace(outputs, tta_probs=probs_from_logits(logits).reshape(*features.shape[:2], -1))


def cached_run(file: Path, classifier: Classifier, images: Images, passes: int = 30) -> ModelOutputs:
    """Classify images, or read what was kept: for these pixels, names, labels and weights, and no others."""
    sha = hashlib.sha256(f"{classifier.sha256} {passes} {images.ids.tolist()} {images.labels.tolist()}".encode())
    for pixels in images.pixels:
        sha.update(pixels.tobytes())
    return cached(file.with_name(f"{file.name}-{sha.hexdigest()[:12]}.npz"), lambda: run(classifier, images, passes))


def run(classifier: Classifier, images: Images, passes: int = 30) -> ModelOutputs:
    """Classify arrays under their own ids and labels."""
    batch = max(8, 256 * 32**2 // classifier.preprocess.size**2)  # what stays in the processor's cache is quickest
    outputs = classifier.run(images.pixels, passes=passes, batch_size=batch)
    return replace(outputs, ids=images.ids, labels=images.labels)


def known_good(outputs: ModelOutputs) -> ModelOutputs:
    """Keep the rows that the classifier gets right."""
    return outputs.take(~outputs.wrong)


def _half_replaced(clean: ModelOutputs, damaged: ModelOutputs, seed: int) -> ModelOutputs:
    n = len(clean)
    rows = np.arange(n)
    rows[np.random.default_rng([seed, 1]).permutation(n)[: n // 2]] += n
    return ModelOutputs.concatenate([clean, damaged]).take(rows)


def _sample(outputs: ModelOutputs, count: int, seed: int) -> ModelOutputs:
    order = np.random.default_rng([seed, 4]).permutation(len(outputs))
    return outputs.take(order[:count])
