"""Baal's heuristics of active learning, on the probabilities of the dropout passes.

Each heuristic says itself whether it ranks from its highest value down (`reversed`); where it does not, the sign turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.peers.detector import CALIBRATION, Detector, Known, Score, numbers
from uncertainty import ModelOutputs

PROJECT = "baal"
LEFT_OUT = ("baal BatchBALD: it chooses a batch, and gives the images outside of it no score.",)
HEURISTICS = ("BALD", "Entropy", "Certainty", "Margin", "Variance")
_TARGETS = 200
"""Calibration rows that EPIG takes as its target; its memory grows with them times the rows that are scored."""


def detectors() -> Sequence[Detector]:
    """Return the detectors."""
    simple = [Detector(PROJECT, name, ("mc_probs",), _heuristic(name)) for name in HEURISTICS]
    return [*simple, Detector(PROJECT, "EPIG", ("mc_probs", CALIBRATION), _epig)]


def _heuristic(name: str) -> Callable[[Known], Score]:
    def fit(known: Known) -> Score:
        heuristic, sign = _signed(name)
        return lambda outputs: sign * numbers(heuristic.get_uncertainties(_iterations_last(outputs)))

    return fit


def _epig(known: Known) -> Score:
    heuristic, sign = _signed("EPIG")
    rows = np.random.default_rng(0).permutation(len(known.calibration))[:_TARGETS]
    targets = _iterations_last(known.calibration.take(rows))

    def score(outputs: ModelOutputs) -> NDArray[np.float64]:
        probs = _iterations_last(outputs)
        parts = [probs[i : i + 256] for i in range(0, len(probs), 256)]
        return sign * np.concatenate([numbers(heuristic.get_uncertainties(part, targets)) for part in parts])

    return score


def _signed(name: str) -> tuple[Any, int]:
    import baal.active.heuristics

    heuristic = getattr(baal.active.heuristics, name)()
    return heuristic, 1 if heuristic.reversed else -1


def _iterations_last(outputs: ModelOutputs) -> NDArray[np.float64]:
    """(n, c, t), each pass summing to 1 exactly enough not to be taken for logits."""
    probs = np.asarray(outputs.require("mc_probs", PROJECT), dtype=np.float64)
    return np.ascontiguousarray((probs / probs.sum(axis=2, keepdims=True)).transpose(0, 2, 1))
