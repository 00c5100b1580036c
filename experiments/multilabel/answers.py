"""Precision and recall of the classifier's own answers: thresholds that promise them, MAPIE's controllers beside ours.

Ours promise each class's precision or recall, of all classes at once; MAPIE's that of the mean image, by one threshold
for all classes. Each is judged by its own promise, and by what single classes get.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import ModelOutputs
from uncertainty.decisions.answer_thresholds import Kind, Wanted, answer_thresholds

LEVEL, CONFIDENCE, IMAGES, DRAWS = 0.9, 0.95, 600, 100
PRECISION: Kind = "precision"
RECALL: Kind = "recall"
OURS = "thresholds"
WAYS: dict[Kind, dict[str, str]] = {
    PRECISION: {"MAPIE, LTT": "ltt"},
    RECALL: {"MAPIE, RCPS": "rcps", "MAPIE, CRC": "crc"},
}
_ALL, _NEVER = 3000, 2.0
Choose = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From the images of a draw to the threshold of each class, above 1 where it is never said."""


def require_mapie() -> None:
    """Stop with a clear message where it is not installed."""
    if find_spec("mapie") is None:
        raise SystemExit("mapie is not installed: run pip install mapie==1.6.0, or leave its part out by --draws 0")


def measured_answers(outputs: ModelOutputs, draws: int) -> dict[str, Any]:
    """Return, by what is wanted and by who promises it, how often promises are broken and what the answers are like.

    Calibration images are drawn with replacement from the first 3,000, so that the truth is known: that of all of them.
    """
    every = outputs.take(np.arange(min(len(outputs), _ALL)))
    kept = {kind: {way: _kept(choose, every, kind, draws) for way, choose in _ways(every, kind)} for kind in WAYS}
    return {"draws": draws, "kept": kept}


def _ways(every: ModelOutputs, kind: Kind) -> list[tuple[str, Choose]]:
    found: list[tuple[str, Choose]] = [(OURS, _ours(every, kind))]
    controllers = {way: _controller(every, kind, method) for way, method in WAYS[kind].items()}
    return found + [(way, _mapie(controller, every)) for way, controller in controllers.items()]


def _kept(choose: Choose, every: ModelOutputs, kind: Kind, draws: int) -> dict[str, float]:
    rng, truth = np.random.default_rng(16), every.labels == 1
    found = [
        judged_answers(every.probs >= choose(rng.integers(0, len(every), IMAGES)), truth, kind) for _ in range(draws)
    ]
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def judged_answers(said: NDArray[np.bool_], truth: NDArray[np.bool_], kind: Kind) -> dict[str, float]:
    """Return whether a class that is said at all is below what was wanted, whether the mean image is, and what is left.

    As MAPIE has it, an image of which nothing is said has a precision of 0.
    """
    hits, of = said & truth, said if kind == PRECISION else truth
    promised = said.any(axis=0)
    classes = hits.sum(axis=0)[promised] / np.maximum(of.sum(axis=0)[promised], 1)
    counts = of.sum(axis=1)
    images = np.divide(hits.sum(axis=1), counts, out=np.zeros(len(counts)), where=counts > 0)
    return {
        "a class is below": float((classes < LEVEL).any()),
        "the mean image is below": float(promised.any() and images.mean() < LEVEL),
        "classes": float(promised.sum()),
        "precision": float(hits.sum() / max(said.sum(), 1)),
        "recall": float(hits.sum() / truth.sum()),
    }


def _ours(every: ModelOutputs, kind: Kind) -> Choose:
    wanted = Wanted(kind, LEVEL, CONFIDENCE)

    def choose(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        found = answer_thresholds(every.probs[rows], every.labels[rows], wanted)
        return np.array([_NEVER if one.threshold is None else one.threshold for one in found])

    return choose


def _controller(every: ModelOutputs, kind: Kind, method: str) -> Any:
    """Return MAPIE's, with what each of its thresholds does to each image."""
    from mapie.risk_control import MultiLabelClassificationController

    made = MultiLabelClassificationController(
        predict_function=lambda rows: every.probs[rows].astype(np.float64),
        risk=kind,
        method=method,
        target_level=LEVEL,
        confidence_level=None if method == "crc" else CONFIDENCE,
    )
    return made.compute_risks(np.arange(len(every)), (every.labels == 1).astype(np.int64))


def _mapie(controller: Any, every: ModelOutputs) -> Choose:
    risks = controller._risks

    def choose(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        controller._risks = risks[rows]  # what it would compute of these images, computed once for all draws
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that no threshold will do
            (found,) = controller.compute_best_predict_param().best_predict_param
        # Said is what is above its threshold, not what reaches it.
        return np.full(every.n_classes, _NEVER if np.isnan(found) else np.nextafter(found, 1.0))

    return choose
