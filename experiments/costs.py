"""What an image costs: processor time of each kind of pass, relative to one plain pass of the classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np

from experiments import data, efforts, solar_network, splits
from experiments.running import Options
from uncertainty import Classifier, Preprocess
from uncertainty.classifiers.embedder import Embedder
from uncertainty.demo import network as digits_network

COLUMNS = ("mc_probs", "embedding", "tta_probs")
"""Columns that cost more than the plain pass."""
PASSES = 30
_REPEATS = 3


@dataclass
class Stopwatch:
    """Processor seconds of what ran under it."""

    seconds: float = field(default=0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time until the end of the block."""
        start = process_time()
        yield
        self.seconds += process_time() - start


def passes(name: str, chosen: Options) -> dict[str, float]:
    """Measure one set: seconds an image of a plain pass, and what each column costs besides, in plain passes."""
    classifier, embedder, pixels = _subjects(name, chosen)
    plain = _fastest(lambda: classifier.run(pixels, passes=0))
    result = {"seconds": plain / len(pixels)}
    dropout = _fastest(lambda: classifier.run(pixels, passes=PASSES))
    result["mc_probs"] = max(dropout - plain, 0.0) / plain
    if embedder is not None:
        result["embedding"] = _fastest(lambda: efforts.embedding(embedder, data.Images(pixels, *_NOTHING))) / plain
    viewed = _fastest(lambda: classifier.run(pixels, passes=0, views=efforts.VIEWS))
    result["tta_probs"] = max(viewed - plain, 0.0) / plain
    return result


def _subjects(name: str, chosen: Options) -> tuple[Classifier, Embedder | None, list[Any]]:
    """Return the classifier, its second opinion if it has one, and images; untrained weights cost the same."""
    if name == "digits":
        return digits_network.classifier(), None, data.digits().pixels[:512]
    if name == "solar_cells":
        preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
        classifier = Classifier.from_module(solar_network.network(), preprocess=preprocess)
        return classifier, Embedder.load("efficientnet-lite1"), data.solar_cells().pixels[:32]
    if chosen.data is None:
        raise SystemExit("--data was not given; it is a folder with CIFAR-10, see experiments/README.md")
    pixels = data.cifar10(chosen.data, "dev").pixels[:256]
    return splits.cifar10_classifier(chosen.data), Embedder.load("efficientnet-lite0?size=128"), pixels


def _fastest(run: Callable[[], Any]) -> float:
    """Return the least of some runs: what other programs do to the machine only adds."""
    times = []
    for _ in range(_REPEATS):
        watch = Stopwatch()
        with watch.running():
            run()
        times.append(watch.seconds)
    return min(times)


_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.str_), ())
