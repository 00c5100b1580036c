"""How far verdicts move by runtime, on the three development sets: python -m benchmarks.runtime_verdicts --data FOLDER.

A screener is fitted on what a runtime answers and judges what it answers, images as they are and damaged ones, and is
held against the one of torch. Training, known-good, calibration and screened images share none. It needs
'.[experiments]' and the runtimes; `--data` is the folder of CIFAR-10, see experiments/README.md.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from experiments.shared import image_sets, solar_network
from experiments.shared.fitted_screener import fitted
from experiments.shared.image_sets import Images
from experiments.shared.splits import HALVES, Split, cifar10_classifier, known_good, run
from uncertainty import Classifier, ModelOutputs, Preprocess, Verdicts
from uncertainty.classifiers.eight_bits import shown
from uncertainty.defaults import WORKERS
from uncertainty.demo import network as digits_network

MOST = 500
RUNTIMES = ("openvino", "onnxruntime")
SEEN, UNSEEN = HALVES


@dataclass(frozen=True, eq=False)
class Development:
    """A classifier, and images that it was not fitted on but the known-good ones, of which it learnt."""

    classifier: Classifier
    reference: Images
    calibration: Images
    screened: Images


def digits(most: int, seed: int = 0) -> Development:
    """Return the network of the demo, trained on 350 digits."""
    images = image_sets.digits()
    train, calibration, test = (images.take(rows) for rows in image_sets.split(images, image_sets.DIGITS_SIZES, seed))
    module = digits_network.train(np.stack(train.pixels), train.labels, seed)
    classifier = Classifier.from_module(module, images.classes, digits_network.PREPROCESS)
    return Development(classifier, train, _some(calibration, most), _some(test, most))


def solar_cells(most: int, seed: int = 0) -> Development:
    """Return EfficientNet-Lite0 with a head trained on 1,000 solar cells, or `most`."""
    images = image_sets.solar_cells()
    train, calibration, test = (images.take(rows) for rows in image_sets.split(images, image_sets.SOLAR_SIZES, seed))
    way = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    backbone, train = solar_network.backbone(), _some(train, most)
    learnt = run(Classifier.from_module(backbone, preprocess=way), train, passes=0)
    head = solar_network.trained_head(learnt.logits, train.labels, seed)
    classifier = Classifier.from_module(torch.nn.Sequential(backbone, head).eval(), images.classes, way)
    return Development(classifier, train, _some(calibration, most), _some(test, most))


def cifar10(folder: Path, most: int, seed: int = 0) -> Development:
    """Return the ResNet-20 of the experiments; known-good are images that it was trained on."""
    train, dev = (image_sets.cifar10(folder, part) for part in ("train", "dev"))
    rows = np.random.default_rng(seed).permutation(len(dev))
    calibration, test = (dev.take(part) for part in (rows[:most], rows[most : 2 * most]))
    return Development(cifar10_classifier(folder), _some(train, 2 * most), calibration, test)


def _some(images: Images, most: int) -> Images:
    return images.take(np.arange(min(most, len(images))))


def seen(classifier: Classifier, of: Development, seed: int = 0) -> Split:
    """Return what a classifier answers on all of it; images of no known class are not screened."""
    changed, other = (image_sets.damaged(of.calibration, SEEN, seed), image_sets.damaged(of.screened, UNSEEN, seed))
    clean, damaged = run(classifier, of.screened), run(classifier, other)
    return Split(
        reference=known_good(run(classifier, of.reference, passes=0)),
        calibration=run(classifier, of.calibration),
        calibration_damaged=run(classifier, changed),
        calibration_foreign=run(classifier, image_sets.foreign(of.calibration, seed)),
        test_clean=clean,
        test_damaged=damaged,
        test_unknown=clean.take([]),
        every_test_damaged=damaged,
    )


def judged(split: Split) -> Verdicts:
    """Return the verdicts of the screener of a split on its images as they are and damaged."""
    return fitted(split).screen_outputs(_screened(split))


def _screened(split: Split) -> ModelOutputs:
    return ModelOutputs.concatenate([split.test_clean, split.test_damaged])


@dataclass(frozen=True)
class Moved:
    """What a runtime changed of the verdicts on so many images."""

    images: int
    answers: int
    flags: int
    p_wrong: float


def moved(then: Split, now: Split) -> Moved:
    """Hold the verdicts of one runtime against those of another."""
    one, other = (judged(split).table for split in (then, now))
    answers = _screened(then).predictions != _screened(now).predictions
    flags = np.asarray(one["flagged"]) != np.asarray(other["flagged"])
    apart = np.abs(one["p_wrong"].to_numpy() - other["p_wrong"].to_numpy())
    return Moved(len(answers), int(answers.sum()), int(flags.sum()), float(apart.max()))


def rows(development: Development, runtimes: tuple[str, ...]) -> Iterator[tuple[str, Moved]]:
    """Yield for each runtime how far the verdicts of torch move."""
    by_torch = seen(development.classifier, development)
    for runtime in runtimes:
        one = shown(development.classifier.with_runtime(runtime), development.reference.pixels, WORKERS)
        yield runtime, moved(by_torch, seen(one, development))


def main() -> None:
    """Print a row for each set and runtime."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of CIFAR-10")
    parser.add_argument("--most", type=int, default=MOST, help="images that calibrate, and that are screened")
    parser.add_argument("--sets", nargs="+", choices=image_sets.TITLES, default=tuple(image_sets.TITLES))
    parser.add_argument("--runtimes", nargs="+", default=RUNTIMES, help="default: %(default)s")
    chosen = parser.parse_args()
    image_sets.require_packages()
    ways: dict[str, Callable[[int], Development]] = {
        "digits": digits,
        "solar_cells": solar_cells,
        "cifar10": partial(cifar10, chosen.data),
    }
    for name in chosen.sets:
        for runtime, found in rows(ways[name](chosen.most), tuple(chosen.runtimes)):
            sys.stdout.write(
                f"{image_sets.TITLES[name]:12} {runtime:18} {found.images:5} images: other answers {found.answers}, "
                f"other flags {found.flags}, p_wrong at most {found.p_wrong:.1e} apart\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
