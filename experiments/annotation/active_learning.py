"""Accuracy against labels bought:
python -m experiments.annotation.active_learning --data FOLDER, in a venv with the extra.

pip install '.[experiments,active-learning]'. Without scikit-activeml and Baal the package's own strategies run alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from experiments.annotation.active_learning_loop import Strategy, Task, curve, reduce, task
from experiments.annotation.active_learning_p_wrong import p_wrong
from experiments.annotation.active_learning_page import RANDOM, draw, page
from experiments.annotation.active_learning_strategies import OURS, STRATEGIES, packaged
from experiments.shared import image_sets, results_file, splits, thorough_splits
from experiments.shared.command_line import Options, options, say
from uncertainty.annotation.facility_location import covering
from uncertainty.classifiers import Classifier

NAME = "active_learning"
TUNED_ON = range(5)
"""Seeds on which the strategy of the package was chosen; the page has others."""
Make = Callable[[int], Task]


def digits_tasks() -> Make:
    """Pixels of 1,000 digits, 20 labels a step; 797 test."""
    images = image_sets.digits()
    pixels = np.stack([image[..., 0].ravel() for image in images.pixels]) / 255
    return lambda seed: task(pixels, images.labels, (1000, 797), 20, seed)


def solar_tasks(chosen: Options) -> Make:
    """EfficientNet-Lite0's features of 1,750 cells, 35 labels a step; 874 test."""
    cells = image_sets.solar_cells()
    seen = splits.cached_run(chosen.cache / "solar_cells" / "clean", thorough_splits.solar_classifier(), cells)
    return lambda seed: task(np.asarray(seen.logits), cells.labels, (1750, 874), 35, seed)


def cifar10_tasks(chosen: Options) -> Make:
    """EfficientNet-Lite0's features of 3,000 photographs, drawn from 20,000, 60 labels a step; 5,000 others test."""
    sets = [image_sets.cifar10(chosen.folder, part) for part in ("train", "dev")]
    embedder = Classifier.load("efficientnet-lite0?size=128").as_embedder()
    (x, y), (test_x, test_y) = (
        (thorough_splits.kept_embedding(chosen.cache, embedder, images), images.labels) for images in sets
    )

    def make(seed: int) -> Task:
        rows = np.random.default_rng([seed, 1]).permutation(len(x))[:3000]
        pool, test = reduce(x[rows], test_x)
        return Task(pool, y[rows], test, test_y, 60)

    return make


def passes() -> list[dict[str, Strategy]]:
    """Return the strategies that the figures are about, all seeds of which are measured first, then the others.

    Those of the other projects are among them where these are installed.
    """
    first = {name: STRATEGIES[name] for name in (RANDOM, OURS)}
    others = {name: strategy for name, strategy in STRATEGIES.items() if name not in first}
    last = {f"{OURS}, p_wrong": packaged(covering, p_wrong)}
    if find_spec("skactiveml") is None or find_spec("baal") is None:
        say("scikit-activeml or baal is not installed; pip install '.[active-learning]' adds them to the comparison")
        return [first, others, last]
    from experiments.annotation.active_learning_peers import quick_peers, slow_peers, strongest_peers

    return [first | strongest_peers(), others | quick_peers(), last | slow_peers()]


def measured(make: Make, strategies: dict[str, Strategy], seed: int) -> dict[str, list[float]]:
    """Return the curve of every strategy on one draw of pool, test set and first batch."""
    drawn = make(seed)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other projects warn of what is none of ours
        for name, strategy in strategies.items():
            found[name] = curve(drawn, strategy, seed)
    return found


def main(chosen: Options) -> None:
    """Load the three sets and measure."""
    makes = {"digits": digits_tasks(), "solar_cells": solar_tasks(chosen), "cifar10": cifar10_tasks(chosen)}
    sys.stdout.write(run(makes, chosen))


def run(makes: dict[str, Make], chosen: Options) -> str:
    """Measure, and write after every seed, so that what is finished is kept; return the page."""
    results: dict[str, Any] = {"seeds": [], "sets": {}}
    first = len(TUNED_ON)
    for strategies, seed in product(passes(), range(first, first + chosen.splits)):
        found = {}
        say(f"{NAME}: seed {seed}, {', '.join(strategies)}")
        for name, make in makes.items():
            found[name] = (make(seed).counts, measured(make, strategies, seed))
        results["seeds"] = sorted({*results["seeds"], seed})
        for name, (counts, curves) in found.items():
            kept = results["sets"].setdefault(name, {"counts": counts, "curves": {}})
            for strategy, accuracy in curves.items():
                kept["curves"].setdefault(strategy, []).append(accuracy)
        results_file.write(chosen.out / f"{NAME}.json", results)
    return written(chosen.out)


def written(folder: Path) -> str:
    """Write the page and the figure of the numbers that are there, and return the page."""
    text = results_file.republish(folder, NAME, page)
    if find_spec("matplotlib") is not None:
        draw(results_file.load(folder, NAME), folder / f"{NAME}.png")
    return text


if __name__ == "__main__":
    main(options(__doc__))
