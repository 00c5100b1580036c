"""What an image costs: processor time of each kind of pass, relative to one plain pass of the classifier."""

from __future__ import annotations

from collections.abc import Callable
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


def passes(name: str, chosen: Options) -> dict[str, float]:
    """Measure one set: seconds an image of a plain `pass`, and what each column costs besides, in plain passes."""
    classifier, embedder, pixels = _subjects(name, chosen)
    plain = seconds(lambda: classifier.run(pixels, passes=0))
    result = {"pass": plain / len(pixels)}
    dropout = seconds(lambda: classifier.run(pixels, passes=PASSES))
    result["mc_probs"] = max(dropout - plain, 0.0) / plain
    if embedder is not None:
        result["embedding"] = seconds(lambda: efforts.embedding(embedder, data.Images(pixels, *_NOTHING))) / plain
    viewed = seconds(lambda: classifier.run(pixels, passes=0, views=efforts.VIEWS))
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


def seconds(run: Callable[[], Any]) -> float:
    """Return the processor time of a call: the least of some, since what else the machine does only adds."""
    times = []
    for _ in range(_REPEATS):
        start = process_time()
        run()
        times.append(process_time() - start)
    return min(times)


_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.str_), ())
