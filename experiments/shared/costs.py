"""What kinds of evidence cost: multiplications, in passes of the classifier. Counted, so the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.shared.image_sets import Images
from uncertainty import Classifier
from uncertainty.classifiers.embedder import Embedder
from uncertainty.classifiers.modes import evaluating
from uncertainty.defaults import MC_PASSES


@dataclass(frozen=True)
class Costs:
    """A second opinion and all dropout sub-networks, in passes of the classifier; a view costs one.

    `dear` says that dropout is left to thorough effort, as `uncertainty fit` does where it costs much; `views` that
    there are views to choose from.
    """

    second: float
    dropout: float
    dear: bool
    views: bool = True

    def of(self, effort: str, views: float) -> float:
        """Return what an effort costs for an image, in passes, where there are so many views; balanced has the flip.

        >>> Costs(second=2.0, dropout=9.0, dear=True).of("balanced", 5), Costs(2.0, 9.0, True).of("thorough", 5)
        (4.0, 17.0)
        """
        passes = 1 + (0.0 if self.dear and effort != "thorough" else self.dropout)
        passes += 0.0 if effort == "fast" else self.second
        return passes + {"fast": 0, "balanced": min(views, 1), "thorough": views}[effort]


def counted_costs(classifier: Classifier, embedder: Embedder, images: Images) -> Costs:
    """Count for one image."""
    one = multiplications(classifier, classifier.preprocess(images.pixels[0]))
    second = multiplications(embedder, embedder.preprocess(images.pixels[0]))
    dear = classifier.network.affordable(MC_PASSES)[1]
    dropout = MC_PASSES * classifier.network.dropout_cost if classifier.network.dropout else 0.0
    return Costs(second / one, dropout, dear)


def multiplications(model: Classifier | Embedder, inputs: np.ndarray) -> int:
    """Count the multiplications of one preprocessed image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with evaluating(model.network.module), FlopCounterMode(display=False) as counter:
        model.network.module(torch.from_numpy(np.array(inputs))[None])
    return int(counter.get_total_flops())
