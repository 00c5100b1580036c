"""What a Grad-CAM costs beside the classifier's one pass: python -m benchmarks.heat_maps (needs captum)."""

from __future__ import annotations

import sys
from statistics import median
from time import process_time

import numpy as np
from torch import nn

from experiments.shared import resnet20, solar_network
from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.classifiers.heat_maps import heat_maps

BATCH, RUNS = 16, 5


def networks() -> dict[str, tuple[nn.Module, int]]:
    """Return networks and the side of their input."""
    return {
        "ResNet-20, 32x32": (resnet20.network(), resnet20.INPUT_SIZE),
        "EfficientNet-Lite0, 224x224": (solar_network.network(), solar_network.INPUT_SIZE),
    }


def measure(module: nn.Module, side: int, batch: int = BATCH, runs: int = RUNS) -> tuple[float, float]:
    """Return median processor seconds for a batch of noise: one pass, and one map an image; they take turns."""
    classifier = Classifier.from_module(module, preprocess=Preprocess(size=side))
    images = np.random.default_rng(0).normal(size=(batch, 3, side, side)).astype(np.float32)
    targets = np.zeros(batch, dtype=np.int64)
    one, maps = [], []
    for _ in range(runs + 1):
        start = process_time()
        classifier.network(images)
        one.append(process_time() - start)
        start = process_time()
        heat_maps(classifier, images, targets, batch_size=batch)
        maps.append(process_time() - start)
    return median(one[1:]), median(maps[1:])  # the first warms up


def main() -> None:
    """Print milliseconds an image, and times one pass."""
    for name, (module, side) in networks().items():
        one, heat = measure(module, side)
        sys.stdout.write(
            f"{name}: one pass {1000 * one / BATCH:.2f} ms an image, a map {1000 * heat / BATCH:.2f} ms, "
            f"{heat / one:.1f} times one pass\n"
        )


if __name__ == "__main__":
    main()
