"""Precision and recall of answers: our thresholds beside MAPIE's controllers; left out where it is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.multilabel.answers import measured_answers
from uncertainty import ModelOutputs

pytest.importorskip("mapie")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_each_keeps_its_own_promise_and_one_threshold_leaves_the_hard_class_below() -> None:
    rng = np.random.default_rng(0)
    carried = rng.random((1000, 2)) < 0.5
    carried[:, 0] |= ~carried.any(axis=1)  # MAPIE wants a label of every image
    logits = np.where(carried, 2.0, -2.0) + rng.normal(size=(1000, 2)) * [0.7, 3.0]
    made = ModelOutputs(ids=np.arange(1000).astype(str), logits=logits, labels=carried, task="multilabel")
    kept = measured_answers(made, 6)["kept"]
    assert kept["precision"]["thresholds"]["a class is below"] <= 0.2
    for kind, way in (("precision", "MAPIE, LTT"), ("recall", "MAPIE, RCPS")):
        assert kept[kind][way]["the mean image is below"] <= 0.2
    assert kept["recall"]["MAPIE, RCPS"]["a class is below"] == 1
