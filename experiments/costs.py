"""What kinds of evidence cost, in passes of the classifier: the quickest of several runs of each, in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from experiments.data import Images
from uncertainty import Classifier
from uncertainty.classifiers.embedder import Embedder
from uncertainty.defaults import MC_PASSES

_RUNS, _BATCH = 5, 16


@dataclass(frozen=True)
class Costs:
    """A second opinion and all dropout sub-networks, in passes of the classifier; a view costs one.

    `dear` says that dropout is left to thorough effort, as `uncertainty fit` does where it costs much.
    """

    second: float
    dropout: float
    dear: bool

    def of(self, effort: str, views: int) -> float:
        """Return what an effort costs for an image, in passes."""
        passes = 1 + (0.0 if self.dear and effort != "thorough" else self.dropout)
        passes += 0.0 if effort == "fast" else self.second
        return passes + (views if effort == "thorough" else 0)


def measured_costs(classifier: Classifier, embedder: Embedder, images: Images) -> Costs:
    """Time a batch of the first images."""
    pixels = images.pixels[:_BATCH]
    inputs = np.stack([classifier.preprocess(p) for p in pixels])
    second = np.stack([embedder.preprocess(p) for p in pixels])
    one = _quickest(lambda: classifier.network(inputs))
    with_dropout = _quickest(lambda: classifier.network(inputs, MC_PASSES))
    opinion = _quickest(lambda: embedder(second))
    dear = classifier.network.affordable(MC_PASSES)[1]
    return Costs(opinion / one, max(with_dropout / one - 1, 0), dear)


def _quickest(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(_RUNS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)
