"""cleanlab's out-of-distribution scores, of features and of probabilities.

Its sign is the other one: "smaller values indicating examples that are less typical" (cleanlab.outlier), so it turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from experiments.peers.detector import CALIBRATION, REFERENCE, Detector, Known, Score, numbers

PROJECT = "cleanlab"
LEFT_OUT = ("cleanlab label quality scores: they need the label that a new image does not have.",)
METHODS = ("entropy", "least_confidence", "gen")


def detectors() -> Sequence[Detector]:
    """Return the detectors; without adjusting, nothing is fitted."""
    return [
        Detector(PROJECT, "OutOfDistribution kNN", ("features", REFERENCE), _neighbours),
        *(Detector(PROJECT, method, ("logits",), _of_probs(method, adjust=False)) for method in METHODS),
        *(Detector(PROJECT, f"adjusted {m}", ("logits", CALIBRATION), _of_probs(m, adjust=True)) for m in METHODS[:2]),
    ]


def _neighbours(known: Known) -> Score:
    from cleanlab.outlier import OutOfDistribution

    ood = OutOfDistribution()
    ood.fit(features=np.asarray(known.reference.features, dtype=np.float64), verbose=False)
    return lambda outputs: -numbers(ood.score(features=np.asarray(outputs.features, dtype=np.float64)))


def _of_probs(method: str, *, adjust: bool) -> Callable[[Known], Score]:
    def fit(known: Known) -> Score:
        from cleanlab.outlier import OutOfDistribution

        calibration = known.calibration
        ood = OutOfDistribution({"method": method, "adjust_pred_probs": adjust, "M": min(calibration.n_classes, 100)})
        if adjust:
            ood.fit(pred_probs=calibration.probs, labels=np.asarray(calibration.labels), verbose=False)
        return lambda outputs: -numbers(ood.score(pred_probs=outputs.probs))

    return fit
