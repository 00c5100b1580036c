"""Planted label errors: our score beside cleanlab's on one made problem; left out where cleanlab is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.labels import label_errors
from uncertainty.labels.quality import class_beliefs

pytest.importorskip("cleanlab")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_ours_finds_mixed_up_classes_better_and_loses_little_elsewhere() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 3000)
    logits = 2.2 * (rng.normal(size=(3000, 5)) + 2.2 * np.eye(5)[truth])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    beliefs = {"fast": class_beliefs(1 - probs.max(axis=1), probs.argmax(axis=1), probs)}
    found = {}
    for kind in label_errors.KINDS:
        given, bad = label_errors.planted(truth, 5, 0.1, kind, (0,))
        found[kind] = label_errors.judged(given, bad, probs, beliefs)["ranked"]
    ours, theirs = "label_wrong, fast", "cleanlab self_confidence"
    assert found["by class"][ours]["auroc"] > found["by class"][theirs]["auroc"]
    assert found["uniform"][ours]["auroc"] > found["uniform"][theirs]["auroc"] - 0.003
